"""H&E tissue that is drawn: cells, their layout, tissue, and a dataset of it for a first run."""

from .dataset import DEMO_FACTS, write_demo_dataset

__all__ = [
    "DEMO_FACTS",
    "write_demo_dataset",
]
