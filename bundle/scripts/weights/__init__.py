"""Weights as files: written, read and checked; published checkpoints imported."""

from .files import load_weights, save_facts
from .published import convert_checkpoints, initialise

__all__ = [
    "convert_checkpoints",
    "initialise",
    "load_weights",
    "save_facts",
]
