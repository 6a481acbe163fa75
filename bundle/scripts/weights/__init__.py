"""Weights as files that say what they are: written, read and checked; published checkpoints imported."""

from .description import describe, described_files, read_description
from .files import load_weights
from .published import convert_checkpoints, initialise
from .untrained import network_of

__all__ = [
    "convert_checkpoints",
    "describe",
    "described_files",
    "initialise",
    "load_weights",
    "network_of",
    "read_description",
]
