"""From class activation maps to one pseudo mask per depth, refined and agreed on (``generate_pseudo_masks``)."""

from .generate import generate_pseudo_masks
from .hierarchical_masker import HierarchicalMasker, make_masker
from .masker import PseudoMasker
from .refinement import Refinement
from .summary import pseudo_mask_files

__all__ = [
    "HierarchicalMasker",
    "PseudoMasker",
    "Refinement",
    "generate_pseudo_masks",
    "make_masker",
    "pseudo_mask_files",
]
