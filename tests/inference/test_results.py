from __future__ import annotations

import json
import os

import pytest
from scripts.inference.results import AREAS, Results, made_from


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def _image(path, content="x"):
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(content)
    return path


def _result(folder, name, image, fingerprint="1", **entry):
    row = {"areas": {}, "made_from": made_from({"image": image, **entry}), "fingerprint": fingerprint}
    (folder / f"{name}{AREAS}").write_text(json.dumps(row))


def test_rows_are_those_of_the_fingerprint(tmp_path, folder):
    for name, fingerprint in (("a", "1"), ("b", "2")):
        _result(folder, name, _image(tmp_path / name), fingerprint)
    for name, text in (("c", "{"), ("d", "[]"), ("e", '{"areas": {}}'), ("f", "[" * 100000), ("g", '{"made_from": 1}')):
        (folder / f"{name}{AREAS}").write_text(text)
    assert list(Results(folder).of("1")) == ["a"] and list(Results(folder).rows) == ["a", "b"]
    assert Results(tmp_path / "nowhere").rows == {}


def test_an_image_keeps_the_name_of_its_result(tmp_path, folder):
    old = _image(tmp_path / "in/b/x.png")
    _result(folder, "x", old)
    new = _image(tmp_path / "in/a/x.png")
    names = Results(folder).names([new, old])
    assert names[1] == "x" and names[0].endswith("a_x_png")
    old.write_text("changed")
    assert Results(folder).names([new, old]) == names


def test_a_result_of_another_image_is_not_overwritten(tmp_path, folder):
    _result(folder, "x", _image(tmp_path / "one/x.png"))
    other = _image(tmp_path / "two/x.png", "other")
    with pytest.raises(FileExistsError, match=r"(?s)one.x\.png.*two.x\.png.*another output_dir"):
        Results(folder).names([other])
    (tmp_path / "one/x.png").unlink()  # its result may be all that is left of it
    with pytest.raises(FileExistsError, match="another output_dir"):
        Results(folder).names([other])
    assert Results(folder).names([_image(tmp_path / "two/y.png")]) == ["y"]


def test_a_folder_that_was_moved_is_the_same(tmp_path, folder):
    image = _image(tmp_path / "one/x.png")
    _result(folder, "x", image)
    os.rename(tmp_path / "one", tmp_path / "two")
    assert Results(folder).names([tmp_path / "two/x.png"]) == ["x"]


def test_what_a_result_depends_on(tmp_path):
    image = _image(tmp_path / "x.png")
    before = made_from({"image": image})
    assert made_from({"image": str(image)}) == before
    assert made_from({"image": image, "mpp": (0.5, 0.5)}) not in (before, made_from({"image": image, "mpp": (0.5, 1.0)}))
    image.write_text("longer")
    assert made_from({"image": image}) != before
