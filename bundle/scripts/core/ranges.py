"""What a number may be: its range in one place, for facts, descriptions of weights and settings alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from reprlib import Repr
from typing import Any

__all__ = ["MPP", "PATCH_SIDE", "PERCENT", "PROBABILITY", "TEMPERATURE", "WINDOW_SCALE", "Number", "shown"]

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlevel = 3
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = 8


def shown(value: Any) -> str:
    """A value as messages quote it: in one short line, whatever its size and depth."""
    return _SHORT.repr(value)


@dataclass(frozen=True)
class Number:
    """A range of numbers.

    Args:
        low: smallest value; ``None``: any.
        high: largest value; ``None``: any that is finite.
        whole: whether it must be a whole number.
        above: whether ``low`` itself is left out.
        below: whether ``high`` itself is left out.
        unit: what is counted or measured, for messages.
    """

    low: float | None = None
    high: float | None = None
    whole: bool = False
    above: bool = False
    below: bool = False
    unit: str = ""

    def __str__(self) -> str:
        words = "a whole number" if self.whole else "a number"
        if self.low is not None and self.high is not None:
            words += f" {'above' if self.above else 'from'} {self.low} {'and' if self.above else 'to'} "
            words += f"below {self.high}" if self.below else f"{'up to ' if self.above else ''}{self.high}"
        elif self.low is not None:
            words += f" above {self.low}" if self.above else f", {self.low} or more"
        elif self.high is not None:
            words += f" below {self.high}" if self.below else f", {self.high} or less"
        return f"{words} {self.unit}".rstrip()

    def __contains__(self, value: Any) -> bool:
        """Whether a value is such a number; a bool and a text are none."""
        if isinstance(value, bool) or not isinstance(value, Integral if self.whole else Real):
            return False
        if not isinstance(value, Integral) and not math.isfinite(value):
            return False
        low = self.low is None or (value > self.low if self.above else value >= self.low)
        return low and (self.high is None or (value < self.high if self.below else value <= self.high))

    def fit(self, value: Any) -> Any:
        """The value, if it is in the range.

        Raises:
            ValueError: it is not; the message says what was found and what is expected.
        """
        if value not in self:
            hint = ", and no text" if isinstance(value, str) and _is_number(value) else ""
            raise ValueError(f"found {shown(value)}, expected {self}{hint}")
        return value

    def check(self, value: Any, where: str) -> Any:
        """The value, if it is in the range.

        Raises:
            ValueError: it is not; the message begins with ``where``.
        """
        try:
            return self.fit(value)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error

    def check_all(self, values: Any, where: str, count: int | None = None) -> tuple[Any, ...]:
        """The values of a list, if each is in the range.

        Args:
            values: a list.
            where: what it is, for messages.
            count: how many there must be; ``None``: one or more.

        Raises:
            ValueError: no list, another number of values, or one out of range.
        """
        listed = isinstance(values, Sequence) and not isinstance(values, (str, bytes))
        if not listed or not values or len(values) != (count or len(values)) or not all(value in self for value in values):
            number = "a list, each" if count is None else f"a list of {count}, each"
            raise ValueError(f"{where}: found {shown(values)}, expected {number} {self}")
        return tuple(values)


def _is_number(text: str) -> bool:
    """Whether a text looks like a number, as 1e-4 does, which YAML reads as a text for want of a point: 1.0e-4."""
    try:
        float(text)
    except ValueError:
        return False
    return True


PROBABILITY = Number(0, 1, below=True)
PERCENT = Number(0, 100, unit="percent")
#: Size of a pixel in tissue: from electron microscopy to a slide's overview.
MPP = Number(0.01, 100, unit="µm/px")
#: Side of a patch that networks are trained on.
PATCH_SIDE = Number(8, 4096, whole=True, unit="px")
#: Side of a window in multiples of the training patch's.
WINDOW_SCALE = Number(0.1, 10)
#: By which logits are divided to be as sure as they are right.
TEMPERATURE = Number(0.25, 8)
