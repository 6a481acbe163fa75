"""Trained networks as TorchScript and ONNX (``export``): written, checked against PyTorch at once, and run in its place."""

from .exported_network import in_form
from .forms import exported_files
from .known_patches import calibration_patches, known_patches
from .write_exports import write_exports

__all__ = ["calibration_patches", "exported_files", "in_form", "known_patches", "write_exports"]
