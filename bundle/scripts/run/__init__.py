"""How stages run: each with its folder, record, seed and tracked run; all of them in order (``pipeline``)."""

from .holding import hold
from .pipeline import run_pipeline
from .stage import Stage
from .upgrade import upgrade

__all__ = [
    "Stage",
    "hold",
    "run_pipeline",
    "upgrade",
]
