"""Line charts as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

__all__ = ["line_chart"]

# blue, vermilion, green, purple: told apart in all common forms of colour blindness
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_DASHES = ("", "6 3", "2 3", "8 3 2 3")


def line_chart(
    title: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    x_label: str = "epoch",
    size: tuple[int, int] = (420, 240),
) -> str:
    """Draw lines over a common x axis.

    Args:
        title: heading.
        series: name to points ``(x, y)``; points that are not finite are left out.
        x_label: name of the x axis.
        size: width and height in px.

    Returns:
        An ``<svg>`` element; empty text if there is no point.
    """
    lines = {n: [(x, y) for x, y in points if math.isfinite(y)] for n, points in series.items()}
    lines = {name: points for name, points in lines.items() if points}
    if not lines:
        return ""
    width, height = size
    left, top, right, bottom = 46, 30, width - 12, height - 34
    xs, ys = zip(*(p for points in lines.values() for p in points), strict=True)
    x0, x1 = min(xs), max(xs)
    y0, y1 = _nice(min(ys), max(ys))

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            left + (right - left) * ((x - x0) / (x1 - x0) if x1 > x0 else 0.5),
            bottom - (bottom - top) * (y - y0) / (y1 - y0),
        )

    parts = [
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">',
        f'<text x="{left}" y="16" class="title">{escape(title)}</text>',
    ]
    for step in range(5):
        value = y0 + (y1 - y0) * step / 4
        y = place(x0, value)[1]
        parts.append(f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{left - 5}" y="{y + 4:.1f}" class="tick end">{value:.3g}</text>')
    for x in sorted({x0, x1, round((x0 + x1) / 2)}):
        parts.append(f'<text x="{place(x, y0)[0]:.1f}" y="{bottom + 15}" class="tick middle">{x:g}</text>')
    parts.append(f'<text x="{right}" y="{height - 4}" class="tick end">{escape(x_label)}</text>')
    for index, (name, points) in enumerate(lines.items()):
        colour, dash = _COLOURS[index % 4], _DASHES[index % 4]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*p) for p in points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')
        parts.extend(
            f'<circle cx="{place(*p)[0]:.1f}" cy="{place(*p)[1]:.1f}" r="2.5" fill="{colour}">'
            f"<title>{escape(name)}: {p[1]:.4g} at {p[0]:g}</title></circle>"
            for p in points
        )
        x = left + 4 + index * (right - left) / max(1, len(lines))
        parts.append(
            f'<line x1="{x:.1f}" x2="{x + 18:.1f}" y1="{height - 8}" y2="{height - 8}" stroke="{colour}" '
            f'stroke-width="2" stroke-dasharray="{dash}"/><text x="{x + 22:.1f}" y="{height - 4}" class="tick">'
            f"{escape(name)}</text>"
        )
    return "".join(parts) + "</svg>"


def _nice(low: float, high: float) -> tuple[float, float]:
    """Round limits that enclose the values."""
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    step = 10 ** math.floor(math.log10(high - low))
    step = next(s for s in (step / 5, step / 2, step, 2 * step) if (high - low) / s <= 8)
    return math.floor(low / step) * step, math.ceil(high / step) * step
