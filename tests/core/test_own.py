from __future__ import annotations

import sys

import pytest
from scripts.core.own import load_own, own_sources


@pytest.fixture(autouse=True)
def _as_before():
    before = dict(sys.modules)
    yield
    for name in set(sys.modules) - set(before):
        del sys.modules[name]


def test_a_file_becomes_a_module_once(tmp_path):
    path = tmp_path / "my_part_of_the_test.py"
    path.write_text("calls = []\nclass Part: pass\ncalls.append(1)\n")
    assert load_own(str(path)) == load_own([str(path)]) == ["my_part_of_the_test"]
    import my_part_of_the_test

    assert my_part_of_the_test.Part.__module__ == "my_part_of_the_test" and my_part_of_the_test.calls == [1]
    assert load_own(None) == [] == load_own([])


def test_faults(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"own: .*none\.py: no such file"):
        load_own(str(tmp_path / "none.py"))
    (tmp_path / "notes.txt").touch()
    (tmp_path / "my-part.py").touch()
    for name in ("notes.txt", "my-part.py"):
        with pytest.raises(ValueError, match="expected a Python file"):
            load_own(str(tmp_path / name))
    for name in ("json.py", "torch.py", "antigravity.py"):  # imported, or not
        (tmp_path / name).touch()
        with pytest.raises(ValueError, match=r"there is a module .* already"):
            load_own(str(tmp_path / name))
    broken = tmp_path / "broken_part_of_the_test.py"
    broken.write_text("import nothing_of_that_name\n")
    for _ in range(2):
        with pytest.raises(ValueError, match=r"cannot be imported: ModuleNotFoundError: .*nothing_of_that_name"):
            load_own([str(broken)])


def test_files_beside_ones_own_that_these_import_belong_to_them(tmp_path):
    texts = {
        "mine.py": "import torch, shapes.round\nfrom .blocks import Block\n",
        "other.py": "def f():\n    from . import late\n",
        "blocks.py": "import base as b, mine\n",
        "base.py": "not Python",
        "late.py": "import os",
        "shapes/__init__.py": "",
        "shapes/round.py": "import base",
        "unused.py": "",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = own_sources([str(tmp_path / "other.py"), str(tmp_path / "mine.py")])
    names = ["other.py", "mine.py", "base.py", "blocks.py", "late.py", "shapes/__init__.py", "shapes/round.py"]
    assert found == [tmp_path / name for name in names]
    assert own_sources(str(tmp_path / "late.py")) == [tmp_path / "late.py"]
    assert own_sources(str(tmp_path / "absent.py")) == [tmp_path / "absent.py"] and own_sources(None) == []
