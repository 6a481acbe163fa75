"""Line charts as inline SVG, and bars of shares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

__all__ = ["line_chart", "share_bar"]

# blue, vermilion, green, purple: told apart in all common forms of colour blindness; the page picks shades that suit
# a light or a dark background (classes s0 to s3), dashes tell the lines apart in print
_SHADES = 4
_DASHES = ("", "6 3", "2 3", "8 3 2 3")
_CHARACTER = 6.2  # px, about the width of a letter in the legend


def line_chart(
    title: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    x_label: str = "epoch",
    size: tuple[int, int] = (420, 250),
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
    lines = {n: [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)] for n, points in series.items()}
    lines = {name: points for name, points in lines.items() if points}
    if not lines:
        return ""
    width, height = size
    left, top, right, bottom = 46, 30, width - 12, height - 48
    xs, ys = zip(*(p for points in lines.values() for p in points), strict=True)
    x0, x1 = min(xs), max(xs)
    ticks = _ticks(min(ys), max(ys))
    y0, y1 = ticks[0], ticks[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            left + (right - left) * ((x - x0) / (x1 - x0) if x1 > x0 else 0.5),
            bottom - (bottom - top) * (y - y0) / (y1 - y0),
        )

    spoken = "; ".join(f"{name} from {p[0][1]:.3g} to {p[-1][1]:.3g}" for name, p in lines.items())
    parts = [
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(f"{title}: {spoken}")}">',
        f'<text x="{left}" y="16" class="title">{escape(title)}</text>',
    ]
    for value in ticks:
        y = place(x0, value)[1]
        parts.append(f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{left - 5}" y="{y + 4:.1f}" class="tick end">{value:.6g}</text>')
    for x in sorted({x0, x1, x0 + round((x1 - x0) / 2)}):
        parts.append(f'<text x="{place(x, y0)[0]:.1f}" y="{bottom + 15}" class="tick middle">{x:g}</text>')
    parts.append(f'<text x="{(left + right) / 2:.1f}" y="{bottom + 28}" class="tick middle">{escape(x_label)}</text>')
    x = float(left)
    for index, (name, points) in enumerate(lines.items()):
        shade, dash = f"s{index % _SHADES}", _DASHES[index % len(_DASHES)]
        placed = [place(*p) for p in points]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in placed)
        parts.append(f'<polyline points="{path}" class="{shade}" stroke-dasharray="{dash}"/>')
        parts.extend(
            f'<circle cx="{px:.1f}" cy="{py:.1f}" r="2.5" class="{shade}">'
            f"<title>{escape(name)}: {value:.4g} at {at:g}</title></circle>"
            for (px, py), (at, value) in zip(placed, points, strict=True)
        )
        parts.append(
            f'<line x1="{x:.1f}" x2="{x + 20:.1f}" y1="{height - 10}" y2="{height - 10}" class="{shade}" '
            f'stroke-dasharray="{dash}"/><text x="{x + 25:.1f}" y="{height - 6}" class="tick">{escape(name)}</text>'
        )
        x += 42 + _CHARACTER * len(name)
    return "".join(parts) + "</svg>"


def share_bar(shares: Sequence[tuple[str, float, Sequence[int]]]) -> str:
    """One bar of parts.

    Args:
        shares: name, share in [0, 1] and colour (red, green, blue) of each part; parts of nothing are left out.
    """
    parts = "".join(
        f'<i style="width:{100 * share:.2f}%;background:rgb{tuple(colour)}" title="{escape(name)} {100 * share:.1f} %"></i>'
        for name, share, colour in shares
        if share > 0
    )
    spoken = ", ".join(f"{name} {100 * share:.0f} %" for name, share, _ in shares if share > 0)
    return f'<div class="bar" role="img" aria-label="{escape(spoken)}">{parts}</div>'


def _ticks(low: float, high: float) -> list[float]:
    """Three to eight round values, evenly spaced, the first and last of which enclose the data."""
    if high - low < 1e-9 * max(1.0, abs(low), abs(high)):
        room = 0.5 * max(1.0, abs(low))
        low, high = low - room, high + room
    power = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = next(m * power for m in (1, 2, 5, 10) if (high - low) / (m * power) <= 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [k * step for k in range(first, last + 1)]
