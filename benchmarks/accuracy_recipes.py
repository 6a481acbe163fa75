"""What is compared: recipes of the bundle and ablations of them, and the budget that all of them share."""

from __future__ import annotations

from typing import Any

#: The map of the hierarchical classifier that an evaluation shows.
FUSED: dict[str, Any] = {"layers": ["fused"]}
#: Three maps that vote for themselves, without a refined one.
VOTES: dict[str, Any] = {"masker#refinement": None, "consensus": [0.2, 0.2, 0.6]}
CUTMIX_SELF_TRAINING = [
    (cutmix, c, taught, w)
    for cutmix, c in (("CutMix", 0.5), ("no CutMix", 0.0))
    for taught, w in (("self-training", 1.0), ("no self-training", 0.0))
]
#: What a recipe is: a folder of configs/recipes (``None``: the default), and overrides of single stages.
RECIPES: dict[str, tuple[str | None, dict[str, dict[str, Any]]]] = {
    "default": (None, {"evaluate": FUSED}),
    "fully_supervised": ("fully_supervised", {}),
    "grad_cam": ("grad_cam", {}),
    "histosegnet": ("histosegnet", {}),
    "sshr": ("sshr", {"evaluate": FUSED}),
    "sc_cam": ("sc_cam", {}),
    "wsss_tissue": ("wsss_tissue", {}),
    "default, ResNet-38": ("resnet38", {"evaluate": FUSED}),
    # ablations of the default, of the upper bound, and of the paper's method
    "default, no context": (None, {"generate_pseudo_masks": {"masker#context": 0.0}, "evaluate": FUSED}),
    "default, no share prior": (None, {"generate_pseudo_masks": {"masker#share_prior": 0.0}, "evaluate": FUSED}),
    **{
        f"default, {cutmix}, {taught}": (None, {"train": {"cutmix": c, "self_training#weight": w}, "evaluate": FUSED})
        for cutmix, c, taught, w in CUTMIX_SELF_TRAINING
    },
    # the default before 0.4.0, and what was left out of it
    "default, no refinement": (None, {"generate_pseudo_masks": VOTES, "evaluate": FUSED}),
    "default, no refinement, no context": (
        None,
        {"generate_pseudo_masks": {**VOTES, "masker#context": 0.0}, "evaluate": FUSED},
    ),
    "default, no refinement, no share prior": (
        None,
        {"generate_pseudo_masks": {**VOTES, "masker#share_prior": 0.0}, "evaluate": FUSED},
    ),
    "default, no refinement, no consensus": (
        None,
        {
            "generate_pseudo_masks": VOTES,
            "train": {"layers": ["gradcam_stage4", "gradcam_stage5", "fused"], "layer_weights": [0.2, 0.2, 0.6]},
            "evaluate": FUSED,
        },
    ),
    **{
        f"default, no refinement, {cutmix}, {taught}": (
            None,
            {"generate_pseudo_masks": VOTES, "train": {"cutmix": c, "self_training#weight": w}, "evaluate": FUSED},
        )
        for cutmix, c, taught, w in CUTMIX_SELF_TRAINING
    },
    # the default before 0.3.0
    "grad_cam, CutMix, self-training": ("grad_cam", {"train": {"cutmix": 0.5, "self_training#weight": 1.0}}),
    "fully_supervised, CutMix": ("fully_supervised", {"train": {"cutmix": 0.5}}),
    "fully_supervised, no CutMix": ("fully_supervised", {"train": {"cutmix": 0.0}}),
    "wsss_tissue, no PDA": ("wsss_tissue", {"train_classifier": {"pda_start_epoch": 0}}),
    "wsss_tissue, one depth": (
        "wsss_tissue",
        {
            "generate_pseudo_masks": {"layers": ["stage6"]},
            "train": {"layers": ["stage6"], "layer_weights": [1.0]},
            "evaluate": {"layers": ["stage6"]},
        },
    ),
}
#: What every recipe gets beside its epochs unless told otherwise: patches in each, and an evaluation that shows one depth of
#: the maps.
BUDGET: dict[str, dict[str, Any]] = {
    "train_classifier": {"epoch_size": 2000},
    "train": {"epoch_size": 2000},
    "evaluate": {"overlap": 0.25, "layers": ["stage6"]},
}
