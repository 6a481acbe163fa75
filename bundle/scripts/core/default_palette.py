"""Colours of classes that have none of their own."""

from __future__ import annotations

__all__ = ["DEFAULT_PALETTE"]

#: Laid over the pinks and purples of H&E at an opacity of 0.4, any two differ by 6 or more (CIEDE2000; of the first four by
#: 15, of the first eight by 8), and from the bare stain by 6, for normal vision and for people without one kind of cones
#: (Machado et al. 2009): found by search, held by a test.
DEFAULT_PALETTE = (
    (255, 255, 0), (0, 0, 255), (160, 0, 0), (64, 255, 160), (160, 112, 255),
    (160, 112, 0), (0, 0, 64), (0, 112, 64), (208, 255, 112), (0, 64, 64),
)  # fmt: skip
