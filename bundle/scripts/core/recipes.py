"""Which config files a stage is made of, with a recipe's own."""

from __future__ import annotations

from pathlib import Path

import yaml

from .paths import BUNDLE_ROOT
from .ranges import shown

__all__ = ["config_files", "known_recipes"]

_RECIPES = Path(BUNDLE_ROOT) / "configs" / "recipes"


def known_recipes() -> list[str]:
    """Names of the recipes that the bundle ships."""
    return sorted(p.name for p in _RECIPES.iterdir() if p.is_dir())


def config_files(stage: str, recipe: str | None = None) -> list[str]:
    """Config files of a stage, in the order in which they are merged.

    Args:
        stage: name of the stage's own file in ``configs``.
        recipe: name of a folder in ``configs/recipes``, or the path of one anywhere, whose file of the stage's name changes
            the stage's own, after those of the recipes that its ``recipe.yaml`` may name as ``extends``. The default
            method by default.

    Raises:
        ValueError: no such recipe, the message lists the known ones; recipes that extend each other; or a ``recipe.yaml``
            that does not name one.
    """
    files = [folder / f"{stage}.yaml" for folder in _recipe_folders(recipe)]
    return [str(Path(BUNDLE_ROOT) / "configs" / f"{stage}.yaml"), *(str(f) for f in files if f.is_file())]


def _recipe_folders(recipe: str | None, within: tuple[Path, ...] = ()) -> list[Path]:
    """Folders of the recipes that a recipe extends, the most basic first, and its own."""
    if recipe is None:
        return []
    folder = next((f for f in (_RECIPES / recipe, Path(recipe)) if f.is_dir()), None)
    if folder is None:
        raise ValueError(f"recipe: no folder {recipe}, and {recipe!r} is none of {known_recipes()}")
    if folder in within:
        raise ValueError(f"recipe: {folder} extends itself, by way of {[f.name for f in within]}")
    about = folder / "recipe.yaml"
    folders: list[Path] = []
    for name in _extended(about) if about.is_file() else []:
        folders += [f for f in _recipe_folders(name, (*within, folder)) if f not in folders]
    return [*folders, folder]


def _extended(about: Path) -> list[str]:
    """The recipes that a ``recipe.yaml`` names."""
    try:
        content = yaml.safe_load(about.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{about}: not readable as YAML: {' '.join(str(error).split())}") from error
    names = content["extends"] if isinstance(content, dict) and set(content) == {"extends"} else None
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{about}: found {shown(content)}, expected 'extends: NAME' or 'extends: [NAMES]' and nothing else")
    return names
