"""A page to label patches on (``label``), what to label next (``suggest``), and how far people agree (``agreement``)."""

from .label_agreement import agreement_of_tables
from .label_patches import facts_to_label, label_patches
from .labelled_rounds import LabelledRounds
from .round_request import RoundRequest
from .suggest import labelled_so_far, suggest_patches

__all__ = [
    "LabelledRounds",
    "RoundRequest",
    "agreement_of_tables",
    "facts_to_label",
    "label_patches",
    "labelled_so_far",
    "suggest_patches",
]
