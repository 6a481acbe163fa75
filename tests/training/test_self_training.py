from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from ignite.engine import Engine
from scripts.training.self_training import SelfTraining, teacher_mask
from scripts.training.supervision import MultiLayerPseudoSupervisionLoss


def undecided():
    """Pseudo masks and their weights, without a vote."""
    return torch.zeros(1, 1, 1, 2, dtype=torch.uint8), (0.0,)


def test_the_teacher_chooses_among_present_classes_alone():
    logits = torch.tensor([[5.0, 0.0], [1.0, 1.0], [0.0, 1.5]]).view(1, 3, 1, 2)
    masks = {
        (1, 1, 1): [[0, 2]],
        (0, 1, 1): [[1, 2]],
        (0, 1, 0): [[1, 1]],  # one class: certain, whatever the teacher says
        (0, 0, 0): [[255, 255]],
    }
    for present, expected in masks.items():
        assert teacher_mask(logits, torch.tensor([present]), *undecided())[0].tolist() == expected, present


def test_pseudo_masks_vote_by_their_weight_and_white_is_ignored():
    logits = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]).view(1, 2, 1, 3)  # a lead of 1 for class 0
    masks = torch.tensor([[[[1, 1, 2]], [[0, 1, 2]]]])
    present, weights = torch.tensor([[1, 1]]), (0.4, 0.6)
    assert teacher_mask(logits, present, masks, weights, prior=0.9)[0].tolist() == [[0, 0, 255]]
    # 1.1 * (0.4 - 0.6) does not make up for 1, 1.1 * (0.4 + 0.6) does
    assert teacher_mask(logits, present, masks, weights, prior=1.1)[0].tolist() == [[0, 1, 255]]


def test_a_present_class_keeps_its_share_of_the_tissue():
    lead = torch.tensor([4.0, 3.0, 2.0, 1.0, 5.0, 6.0, 7.0, 8.0, 9.0, 0.5])  # of class 0; the last pixel is white
    logits = torch.stack([lead, torch.zeros(10)]).view(1, 2, 1, 10)
    masks = torch.zeros(1, 1, 1, 10, dtype=torch.uint8)
    masks[..., 9] = 2

    def nearest(present, share):
        mask = teacher_mask(logits, torch.tensor([present]), masks, (1.0,), 0.0, share)[0, 0]
        return torch.nonzero(mask == 1).flatten().tolist()

    assert nearest((1, 1), 0.0) == []
    assert nearest((1, 1), 0.3) == [1, 2, 3]  # 3 of 10 pixels, tissue where class 0 leads least
    assert nearest((1, 0), 0.3) == []
    assert nearest((1, 1), 1.0) == list(range(9))  # no more than there is tissue
    alone = teacher_mask(logits[:, :1], torch.tensor([[1]]), torch.zeros_like(masks), (1.0,), 0.0, 0.3)
    assert (alone == 0).all()  # a dataset of one class has nothing to share


@pytest.mark.parametrize("seed", range(4))
def test_shares_are_kept_in_a_batch_as_in_each_patch_alone(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(12, 4, 6, 6, generator=generator) + torch.tensor([3.0, 0, 0, -3]).view(1, 4, 1, 1)
    present = torch.rand(12, 4, generator=generator) < 0.6
    masks = torch.randint(0, 6, (12, 1, 6, 6), generator=generator)  # a third is white
    masks[0], masks[1] = 4, torch.where(masks[1] < 3, 4, masks[1])  # no tissue, little of it
    weights, prior, share = (1.0,), 0.5, 0.3
    together = teacher_mask(logits, present, masks, weights, prior, share)
    for patch in range(12):
        alone = slice(patch, patch + 1)
        mask = teacher_mask(logits[alone], present[alone], masks[alone], weights, prior, share)[0]
        assert torch.equal(together[patch], mask)
        tissue = masks[patch, 0] < 4
        named = torch.nonzero(present[patch]).flatten().tolist()
        assert (mask[~tissue] == 255).all() and set(mask[tissue].tolist()) <= ({255} if not named else set(named))
        if len(named) == 2:  # nobody else competes for the pixels
            assert all((mask == k).sum() >= min(int(share * 36), int(tissue.sum())) for k in named[-1:])


class Fixed(torch.nn.Module):
    """Class 1 everywhere."""

    calls = 0

    def forward(self, image):
        self.calls += 1
        return torch.nn.functional.one_hot(torch.ones(image[:, 0].shape).long(), 3).permute(0, 3, 1, 2) * 10.0


def make(**settings):
    loss = MultiLayerPseudoSupervisionLoss((0.2, 0.2, 0.6))
    teacher = Fixed()
    prepare = SelfTraining(lambda batch, _device: (batch["image"], batch["label"]), teacher, loss, loss.weights, **settings)
    return prepare, loss, teacher


def test_share_of_the_loss_over_an_iterations_schedule():
    prepare, loss, _ = make(weight=0.8, start=0.25, full=0.75)
    seen = []
    engine = Engine(lambda _engine, _batch: seen.append(loss.weights))
    prepare.attach(engine)
    engine.run([0] * 4, max_epochs=2)  # progress 0/8 .. 7/8
    assert [len(w) for w in seen] == [3, 3, 3, 4, 4, 4, 4, 4]
    assert [w[3] for w in seen[3:]] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8])
    assert seen[4][:3] == pytest.approx([0.12, 0.12, 0.36])
    assert all(sum(w) == pytest.approx(1) for w in seen)


def test_the_teachers_mask_is_one_more_layer_and_white_stays_white():
    prepare, loss, teacher = make(prior=0.0)
    batch = {
        "image": torch.rand(2, 3, 4, 4),
        "label": torch.zeros(2, 3, 4, 4, dtype=torch.uint8),
        "present": torch.tensor([[1, 1, 0], [1, 0, 0]]),
    }
    batch["label"][0, :, 0] = 3
    assert prepare(batch, torch.device("cpu"))[1].shape == (2, 3, 4, 4) and teacher.calls == 0
    prepare.set_share(1.0)
    image, masks = prepare(batch, torch.device("cpu"))
    assert image is batch["image"] and torch.equal(masks[:, :3], batch["label"])
    assert (masks[0, 3, 0] == 255).all() and (masks[0, 3, 1:] == 1).all() and (masks[1, 3] == 0).all()
    # the whole loss is now the teacher's
    logits = torch.randn(2, 3, 4, 4)
    target = torch.where(masks[:, 3] < 3, masks[:, 3].long(), -100)
    torch.testing.assert_close(loss(logits, masks), torch.nn.functional.cross_entropy(logits, target))


@pytest.mark.parametrize("training", [True, False])
def test_a_teacher_in_training_is_asked_in_evaluation_and_goes_on_training(training):
    prepare, _, _ = make()
    prepare.teacher = torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.Dropout(0.5)).train(training)
    before = prepare.teacher[0].running_mean.clone()
    batch = {
        "image": torch.rand(2, 3, 4, 4),
        "label": torch.zeros(2, 3, 4, 4, dtype=torch.uint8),
        "present": torch.ones(2, 3),
    }
    prepare.set_share(1.0)
    first, second = (prepare(batch, torch.device("cpu"))[1] for _ in range(2))
    assert torch.equal(first, second) and torch.equal(prepare.teacher[0].running_mean, before)
    assert prepare.teacher.training is training and prepare.teacher[0].training is training


def test_progress_is_limited_and_can_go_back():
    prepare, loss, _ = make(weight=0.5)
    prepare.set_share(3.0)
    assert loss.weights == pytest.approx([0.1, 0.1, 0.3, 0.5])
    prepare.set_share(-1.0)  # a resumed run sets it anew from its own iteration
    assert loss.weights == (0.2, 0.2, 0.6)
    prepare.schedule(SimpleNamespace(state=SimpleNamespace(max_epochs=10, epoch_length=10, iteration=55)))
    assert prepare.share == pytest.approx(0.25)


@pytest.mark.parametrize(
    "settings", [{"weight": 1.5}, {"start": 0.7, "full": 0.7}, {"full": 1.2}, {"min_share": 1.1}, {"prior": -1.0}]
)
def test_values_out_of_range(settings):
    with pytest.raises(ValueError, match=r"weight in \[0, 1\]"):
        make(**settings)


def test_any_other_loss_is_shared_with_the_teacher():
    """Twice the loss: of the pseudo masks and of the teacher's mask, by its share; never asked for weights."""
    seen = []

    def loss(logits, masks):
        seen.append(masks.shape[1])
        return masks.float().mean()

    prepare = SelfTraining(lambda batch, _device: None, Fixed(), loss, (1.0,))
    logits, masks = torch.zeros(1, 3, 2, 2), torch.cat([torch.full((1, 1, 2, 2), 2), torch.full((1, 1, 2, 2), 4)], dim=1)
    assert prepare.criterion(logits, masks[:, :1]) == 2 and seen == [1]
    prepare.set_share(0.25)
    assert prepare.criterion(logits, masks) == pytest.approx(0.75 * 2 + 0.25 * 4)
