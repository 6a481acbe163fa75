"""The rooms of ``scripts``: arrows run down, files are small, a name stands in one room alone."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest
from scripts import BUNDLE_ROOT

SCRIPTS = Path(BUNDLE_ROOT) / "scripts"
# from the ground up; rooms on one floor do not import each other
FLOORS = (
    ("core",),
    ("data", "networks", "pages"),
    ("demo", "weights"),
    ("pseudo_masks", "export"),
    ("methods",),
    ("training",),
    ("inference",),
    ("slides",),
    ("evaluation", "package", "labelling"),
    ("run",),
    ("doctor",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(p for p in SCRIPTS.rglob("*.py") if p.parent != SCRIPTS)


def _rooms_imported(path: Path) -> set[str]:
    """Rooms that a file of a room imports, at its top or within a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 2 and node.module:
            found.add(node.module.split(".")[0])
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").startswith("scripts."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("scripts.")}
    return found


def test_every_room_has_its_floor():
    assert {p.parent.name for p in FILES} == set(FLOOR)
    assert [p.name for p in SCRIPTS.glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(SCRIPTS).as_posix())
def test_no_file_imports_upwards(path):
    own = path.parent.name
    above = {room for room in _rooms_imported(path) if room != own and FLOOR[room] >= FLOOR[own]}
    assert not above, f"{path.name} in {own} imports {above}"


def test_files_are_one_idea_each():
    files = [*FILES, *(SCRIPTS.parents[1] / "benchmarks").glob("*.py")]
    long = {p.name: lines for p in files if (lines := p.read_text(encoding="utf-8").count("\n")) > 260}
    assert not long


def test_no_name_stands_in_two_rooms():
    counts = Counter(p.stem for p in FILES if p.name != "__init__.py")
    assert not [name for name, count in counts.items() if count > 1]


def test_every_room_says_what_it_is_for():
    for path in SCRIPTS.glob("*/__init__.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert 1 <= len((ast.get_docstring(tree) or "").splitlines()) <= 4, path
        assert all(isinstance(n, (ast.Expr, ast.ImportFrom, ast.Assign)) for n in tree.body), path


def test_tests_mirror_the_rooms():
    tests = Path(__file__).parent
    for path in sorted(tests.glob("*/test_*.py")):
        module = SCRIPTS / path.parent.name / f"{path.stem.removeprefix('test_')}.py"
        assert module.is_file(), f"{path} tests no module of its room"
