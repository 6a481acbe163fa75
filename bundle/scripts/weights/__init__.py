"""Weights as files that say what they are: written, read and checked; published checkpoints imported."""

from .description import describe
from .files import load_weights
from .published import import_checkpoints, initialise
from .untrained import network_of

__all__ = ["describe", "import_checkpoints", "initialise", "load_weights", "network_of"]
