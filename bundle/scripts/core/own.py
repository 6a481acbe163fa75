"""Python files of one's own, whose classes configs may then name: backbones, losses, transforms."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from .kinds import SETTINGS

__all__ = ["load_own", "own_sources"]


def load_own(files: str | Sequence[str] | None) -> list[str]:
    """Import Python files that a person names, each as the module of its stem: ``my_backbone.py`` becomes ``my_backbone``.

    A config then names ``_target_: my_backbone.MyBackbone``, and networks that register themselves are known to
    descriptions of weights. A file that was imported before is left as it is.

    Args:
        files: paths; ``None``: nothing.

    Returns:
        Names of the modules.

    Raises:
        FileNotFoundError: no such file.
        ValueError: neither a path nor a list of paths; no Python file, or a name that another module has; or one that cannot
            be imported, with the reason.
    """
    try:
        files = SETTINGS["own"].fit(files or None)
    except ValueError as error:
        raise ValueError(f"own: {error}") from error
    names = []
    for path in map(Path, [files] if isinstance(files, str) else files or []):
        if not path.is_file():
            raise FileNotFoundError(f"own: {path}: no such file")
        if path.suffix != ".py" or not path.stem.isidentifier():
            raise ValueError(f"own: {path}: expected a Python file whose name can be that of a module")
        _load(path.resolve())
        names.append(path.stem)
    return names


def own_sources(files: str | Sequence[str] | None) -> list[Path]:
    """Python files that a person names, and those beside them that they import, and these in turn: what is in all of them
    decides what is computed.

    Args:
        files: paths; ``None``: nothing.

    Returns:
        The files named, in their order, then the others by name.
    """
    named = [Path(p) for p in ([files] if isinstance(files, str) else files or [])]
    found: set[Path] = set()
    todo = list(named)
    while todo:
        path = todo.pop()
        for name in _imports(path):
            module, package = path.parent / f"{name}.py", path.parent / name
            beside = [module] if module.is_file() else sorted(package.rglob("*.py"))
            todo += [p for p in beside if p not in found]
            found.update(beside)
    return [*named, *sorted(found - set(named))]


def _imports(path: Path) -> set[str]:
    """First parts of the names of modules that a Python file imports, wherever in it; none of one that cannot be read."""
    try:
        nodes = list(ast.walk(ast.parse(path.read_bytes())))
    except (OSError, ValueError, SyntaxError, RecursionError):
        return set()
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            names += [node.module] if node.module else [alias.name for alias in node.names]
    return {name.split(".")[0] for name in names}


def _load(path: Path) -> None:
    name = path.stem
    known = importlib.util.find_spec(name)  # imported or not
    if known is not None and Path(known.origin or "").resolve() != path:
        raise ValueError(f"own: {path}: there is a module {name!r} already; choose another name for the file")
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ValueError(f"own: {path}: cannot be imported: {type(error).__name__}: {error}") from error
