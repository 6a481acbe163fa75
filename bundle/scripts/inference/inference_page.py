"""The page that inference ends with: all images in one table, and pictures of those that networks are least sure of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ..core.facts import DatasetFacts
from ..core.paths import shown
from ..pages import LayeredImage, Page, Verdict, layered, number, percent, share_bar, table, write_page
from .areas_table import ALL_IMAGES, Totals, part_of, totals
from .thumbnail import thumbnail

__all__ = ["PAGE", "write_inference_page"]

#: File of the page in the folder of the results.
PAGE = "report.html"

_NAMED = 5  # images that a sentence names


def write_inference_page(
    folder: str | Path,
    results: Mapping[str, Mapping[str, Any]],
    facts: DatasetFacts,
    output_format: str = "png",
    certainty: bool = False,
    gallery: int = 60,
    faults: Sequence[str] = (),
    value_range: Sequence[float] | None = None,
) -> Path:
    """Write ``report.html`` into a folder of results, from what is in it.

    An image that is gone, has changed or cannot be read has its row and no picture. One image is in memory at a time.

    Args:
        folder: folder of the results.
        results: name of each result and content of its ``<name>_areas.json``.
        facts: facts of the dataset that the networks were trained on.
        output_format: of label maps and maps of certainty: ``"png"``, ``"nii.gz"`` or ``"nrrd"``.
        certainty: whether maps of certainty were written.
        gallery: how many images are shown at most, least certain first.
        faults: messages for images that were skipped.
        value_range: values that become 0 and 255 in images of other than 8 bits.
    """
    folder, summed = Path(folder), totals(list(results.values()), facts)
    names = sorted(results, key=lambda name: (_certainty(results[name]) is None, _certainty(results[name]) or 0.0, name))

    def pictures() -> Iterator[LayeredImage]:
        for name in names[:gallery]:
            row, end = results[name], f"_certainty.{output_format}"
            found = thumbnail(row, folder / f"{name}_mask.{output_format}", value_range)
            if found is not None:
                map_of = f"<br>map: <code>{escape(name + end)}</code>" if certainty else ""
                yield LayeredImage(name, *found[:2], f"certainty {_shown(row)}{map_of}{_bar(row, facts)}", found[2])

    tiles = layered(pictures(), facts) if gallery and names else ""
    page = Page(
        "Segmented images",
        facts,
        _details(folder, results, facts, summed, faults),
        verdicts=_verdicts(results, facts, faults),
        sections=[
            ("All images", _table(names, results, facts, summed)),
            ("Least certain images", _hint(names, gallery) + tiles if "<figure" in tiles else ""),
            ("Skipped", f"<ul>{''.join(f'<li>{escape(fault)}</li>' for fault in faults)}</ul>" if faults else ""),
        ],
        environment=_environment(folder),
        switches=True,
    )
    return write_page(folder / PAGE, page)


def _details(
    folder: Path, results: Mapping[str, Any], facts: DatasetFacts, summed: Totals, faults: Sequence[str]
) -> dict[str, Any]:
    areas = [summed.mm2.get(name) for name in facts.classes]
    tissue = None if None in areas else sum(areas)
    return {
        "Images": len(results),
        "Skipped": len(faults) or "",
        "Trained on": facts.name,
        "Pixel size of the weights": f"{facts.mpp:g} µm" if facts.mpp else "not given",
        "Tissue": "" if tissue is None else f"{tissue:.4g} mm²",
        "Mean certainty": "" if summed.certainty is None else f"{summed.certainty:.3f}",
        "Folder": shown(folder),
    }


def _verdicts(results: Mapping[str, Mapping[str, Any]], facts: DatasetFacts, faults: Sequence[str]) -> list[Verdict]:
    empty = [name for name, row in results.items() if not any(_percent(row, c) for c in facts.classes)]
    unknown = [name for name, row in results.items() if not row.get("mpp")]
    found = []
    if faults:
        found.append(Verdict("bad", f"{_images(len(faults))} skipped, see the end of the page"))
    if empty:
        found.append(Verdict("watch", f"{_images(len(empty))} found without tissue: {_some(empty)}"))
    if unknown:
        text = f"neither mm² nor scale bar, as nothing says the µm/px: {_some(unknown)} ({len(unknown)} of {len(results)})"
        found.append(Verdict("watch" if facts.mpp else "note", text))
    return found


def _table(names: Sequence[str], results: Mapping[str, Mapping[str, Any]], facts: DatasetFacts, summed: Totals) -> str:
    if not names:
        return ""
    mm2 = any("mm2" in part_of(row, name) for row in results.values() for name in facts.classes)
    units = ["%", "mm²"] if mm2 else ["%"]
    heads = ["image", "certainty", "tissue", *(f"{name}, {unit}" for name in facts.classes for unit in units)]
    rows = []
    for name in names:
        row = results[name]
        shares = {c: _percent(row, c) for c in facts.classes}
        main = max(shares, key=shares.get) if any(shares.values()) else ""
        cells: list[Any] = [_shown(row), (main, _bar(row, facts))]  # bars sort by the class that fills most
        for c in facts.classes:
            cells.append(percent(shares[c] / 100) if main else percent(None))
            cells += [_area(part_of(row, c).get("mm2"))] if mm2 else []
        rows.append([name, *cells])
    foot = [number(summed.certainty, 3), _shares([(c, summed.share.get(c, 0.0)) for c in facts.classes], facts)]
    for c in facts.classes:
        foot += [percent(summed.share.get(c)), *([_area(summed.mm2.get(c))[1]] if mm2 else [])]
    cells = "".join(f"<td>{cell}</td>" for cell in foot)
    return (
        "<p class=hint>Certainty: how far the likeliest class is above the second, the mean over the tissue, from 0 to 1. "
        "Where it is low, look first. Shares are of the tissue.</p>"
        + table("All images", heads, rows, sortable=True, foot=f'<tr><th scope="row">{ALL_IMAGES}</th>{cells}</tr>')
    )


def _hint(names: Sequence[str], gallery: int) -> str:
    if len(names) <= gallery:
        return ""
    return f"<p class=hint>{gallery} of {len(names)} images; <code>gallery</code> sets how many.</p>"


def _bar(row: Mapping[str, Any], facts: DatasetFacts) -> str:
    return _shares([(name, _percent(row, name) / 100) for name in facts.classes], facts)


def _shares(shares: Sequence[tuple[str, float]], facts: DatasetFacts) -> str:
    return share_bar([(name, share, colour) for (name, share), colour in zip(shares, facts.palette, strict=True)])


def _percent(row: Mapping[str, Any], name: str) -> float:
    found = part_of(row, name).get("percent")
    return float(found) if isinstance(found, (int, float)) else 0.0


def _area(mm2: Any) -> Any:
    return (mm2, number(mm2, 3)) if isinstance(mm2, (int, float)) else (None, number(None))


def _certainty(row: Mapping[str, Any]) -> float | None:
    found = row.get("certainty")
    return float(found) if isinstance(found, (int, float)) else None


def _shown(row: Mapping[str, Any]) -> str:
    found = _certainty(row)
    return number(None) if found is None else f"{found:.3f}"


def _images(count: int) -> str:
    return "1 image was" if count == 1 else f"{count} images were"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")


def _environment(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
