"""``docs/README.md`` of a package: what its weights are, what they are for, and what was measured of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from ..core.facts import DatasetFacts
from ..weights.description import Description
from .measured import Measured

__all__ = ["model_card"]

_TEMPLATE = Path(__file__).with_suffix(".md")
_NO_TERMS = "not stated by those who packed the weights; ask them before you use these."
_NOTHING = "Nothing was measured of these weights."


def model_card(
    folder: str,
    metadata: Mapping[str, Any],
    segmenter: Description,
    classifier: Description,
    figures: Sequence[Measured],
    data_license: str | None = None,
) -> str:
    """The card, in Markdown.

    Args:
        folder: name of the package's folder.
        metadata: of the package.
        segmenter: description of its weights.
        classifier: description of its weights.
        figures: what was measured of them.
        data_license: terms of the data that they were trained on, in words.
    """
    facts, made = segmenter.facts, segmenter.content
    versions = {
        "monai": metadata["monai_version"],
        "torch": metadata["pytorch_version"],
        "numpy": metadata["numpy_version"],
        **metadata["required_packages_version"],
    }
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        name=metadata["name"],
        authors=metadata["authors"],
        tags=", ".join(facts.descriptions),
        description=metadata["description"],
        segmenter=_network(segmenter),
        classifier=_network(classifier),
        number=facts.num_classes,
        recipe=segmenter.recipe,
        classes="\n".join(_class_rows(facts)),
        white=_white(facts),
        data_source=metadata["data_source"],
        label_classes=metadata["label_classes"],
        data_license=data_license or _NO_TERMS,
        height=facts.patch_size[0],
        width=facts.patch_size[1],
        mpp="µm/px that are not known" if facts.mpp is None else f"{facts.mpp:g} µm/px",
        performance="\n".join(_performance(figures)),
        packages=" ".join(f"'{name}=={version}'" for name, version in versions.items()),
        folder=folder,
        trained=_trained(made),
        intended_use=metadata["intended_use"],
        copyright=metadata["copyright"],
        references="\n".join(f"- {text}" for text in metadata["references"]),
    )


def _network(description: Description) -> str:
    extractor = description.network["arguments"].get("extractor")
    on = f" on {extractor['component']}" if isinstance(extractor, Mapping) else ""
    return f"{description.network['component']}{on}"


def _class_rows(facts: DatasetFacts) -> list[str]:
    columns = zip(facts.classes, facts.descriptions, facts.palette, strict=True)
    return [f"| {k} | {name} | {long} | {', '.join(map(str, colour))} |" for k, (name, long, colour) in enumerate(columns)]


def _white(facts: DatasetFacts) -> str:
    if facts.white_background:
        return f"White background is none of them: it is painted by its brightness, with the value {facts.white_value}."
    return "White belongs to the tissue that it lies in."


def _performance(figures: Sequence[Measured]) -> list[str]:
    """A table of all figures, or a sentence where there are none."""
    if not figures:
        return [_NOTHING]
    lines = ["Figures are from 0 to 1, with the interval of 95 % over images where it was measured.", ""]
    lines += ["| measured | on | figure | value |", "|---|---|---|---|"]
    for one in figures:
        for key, value in one.figures.items():
            values = value if isinstance(value, Mapping) else {"": value}
            for name, number in values.items():
                interval = f" ({one.intervals[key][0]:.3f} to {one.intervals[key][1]:.3f})" if key in one.intervals else ""
                lines.append(f"| {one.of} | {one.on} | {f'{key} {name}'.strip()} | {number:.3f}{interval} |")
    return lines


def _trained(made: Mapping[str, Any]) -> str:
    """Machine and versions of the training, as far as they are known."""
    versions = [f"{name} {version}" for name, version in (made.get("packages") or {}).items() if version]
    device = made.get("gpu") or f"{made.get('cpu_count', 'an unknown number of')} CPU cores"
    return f"Python {made.get('python', '(version not known)')}, {', '.join([*versions, str(device)])}"
