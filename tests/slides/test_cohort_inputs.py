"""The slides of a cohort: each once, under a name of its own, none of what runs have written."""

from __future__ import annotations

import pytest
from fake_slides import segment, write_slides
from scripts.slides.cohort import run_cohort
from scripts.slides.cohort_inputs import SlideTask, cohort_slides, of_shard


def _names(source, folder):
    tasks, faults = cohort_slides(source, folder)
    assert not faults
    return [(task.path.name, task.name) for task in tasks]


def test_a_folder_is_searched_without_hidden_files_and_results(tmp_path):
    root = write_slides(tmp_path / "in", b="good", a="good")
    write_slides(root / "more", c="good")
    write_slides(root / ".hidden", d="good")
    for name in ("._a.svs", "notes.txt", "e.ome.tif", "map.ome.tif", "map_areas.json", "f.png"):
        (root / name).write_text("x")
    (root / "link.svs").symlink_to(root / "a.svs")
    (root / "inference").mkdir()
    for name in ("stage.json", "g.tif"):
        (root / "inference" / name).write_text("{}")
    expected = [("a.svs", "a"), ("b.svs", "b"), ("e.ome.tif", "e.ome"), ("c.svs", "c")]
    assert _names(root, tmp_path / "out") == expected
    assert _names(root, root / "more") == expected[:-1]


def test_results_of_a_run_into_the_folder_of_slides_are_no_slides(tmp_path):
    root = write_slides(tmp_path / "in", a="good")
    run_cohort(root, segment, root, progress=False)
    (root / "a.ome.tif").write_text("the label map")
    assert _names(root, tmp_path / "out") == _names(root, root) == [("a.svs", "a")]
    assert _names(str(root / "*"), root) == [("a.svs", "a")]


def test_slides_of_one_name_get_different_ones(tmp_path):
    for case in ("one", "two"):
        write_slides(tmp_path / "in" / case, a="good")
    assert [name for _, name in _names(tmp_path / "in", tmp_path / "out")] == ["one_a_svs", "two_a_svs"]


def test_names_differ_where_case_does_not_count_and_from_other_files_of_the_folder(tmp_path):
    root = write_slides(tmp_path / "in", stage="good", B="good", b="good", b_areas="good")
    assert sorted(name for _, name in _names(root, tmp_path / "out")) == ["B", "b_2", "b_areas_2", "stage_2"]


def test_a_slide_keeps_its_name_when_another_of_that_name_comes(tmp_path):
    run_cohort(write_slides(tmp_path / "in/one", a="good"), segment, tmp_path / "out", progress=False)
    write_slides(tmp_path / "in/two", a="good")
    assert [name for _, name in _names(tmp_path / "in", tmp_path / "out")] == ["a", "two_a_svs"]


def test_results_of_another_slide_are_not_overwritten(tmp_path):
    run_cohort(write_slides(tmp_path / "one", a="good"), segment, tmp_path / "out", progress=False)
    two = write_slides(tmp_path / "two", a="another", b="good")
    with pytest.raises(SystemExit, match=r"a\.svs: skipped, as .*a\.json is the record of .*one"):
        run_cohort(two, segment, tmp_path / "out", progress=False)
    assert (tmp_path / "out/b.txt").is_file() and (tmp_path / "out/a.txt").read_text() == "a.svs None\n"


def test_moved_slides_are_the_same(tmp_path):
    run_cohort(write_slides(tmp_path / "one", a="good"), segment, tmp_path / "out", progress=False)
    (tmp_path / "one").rename(tmp_path / "two")
    assert run_cohort(tmp_path / "two", segment, tmp_path / "out", progress=False)["before"] == 1


def test_a_table_says_slides_and_their_pixel_size(tmp_path):
    root = write_slides(tmp_path / "in", a="good", b="good")
    (root / "list.csv").write_text("slide;mpp;stain\nb.svs;0,25;HE\na.svs;;HE\nb.svs;0.25;HE\ngone.svs;;\n")
    tasks, faults = cohort_slides(root / "list.csv", tmp_path / "out")
    assert tasks == [SlideTask(root / "a.svs", "a"), SlideTask(root / "b.svs", "b", (0.25, 0.25))]
    assert faults == [f"{root / 'gone.svs'}: no such file"]
    assert [task.mpp for task in cohort_slides(root / "list.csv", tmp_path / "out", mpp=[1, 0.5])[0]] == [(1.0, 0.5)] * 2


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("slide,mpp\na.svs,fine", "line 2, column mpp"),
        ("slide,mpp\na.svs,0.5\na.svs,1", "line 3: .*listed twice"),
        ("slide,mpp\n,0.5", "line 2: names no slide"),
        ("image,mpp\na.svs,0.5", "expected 'slide' among its columns"),
    ],
)
def test_a_malformed_table_is_refused(tmp_path, rows, words):
    root = write_slides(tmp_path / "in", a="good")
    (root / "list.csv").write_text(rows)
    with pytest.raises(ValueError, match=words):
        cohort_slides(root / "list.csv", tmp_path / "out")


def test_patterns_lists_and_names_with_brackets(tmp_path):
    root = write_slides(tmp_path / "in", **{"a": "good", "b": "good", "c[1]": "good"})
    write_slides(root / "more", d="good")
    (root / "a.png").write_text("x")
    out = tmp_path / "out"
    assert [n for _, n in _names(f"{root}/[ab].*", out)] == ["a", "b"]
    assert [n for _, n in _names(f"{root}/**/*.svs", out)] == ["a", "b", "c[1]", "d"]
    assert [n for _, n in _names(f"{root}/**", out)] == ["a", "b", "c[1]", "d"]
    assert [n for _, n in _names(root / "c[1].svs", out)] == ["c[1]"]
    assert [n for _, n in _names([root / "more", f"{root}/b*", root / "b.svs"], out)] == ["b", "d"]


@pytest.mark.parametrize(("name", "words"), [("gone", "no such file"), ("*.svs", "found no slide"), ("", "found no slide")])
def test_no_slide_is_one_message(tmp_path, name, words):
    (tmp_path / "in").mkdir()
    with pytest.raises(FileNotFoundError, match=words):
        cohort_slides(f"{tmp_path}/in/{name}", tmp_path / "out")


@pytest.mark.parametrize(("slides", "count"), [(23, 4), (3, 5), (20, 20)])
def test_shards_are_all_slides_each_once_and_alike_in_number(tmp_path, slides, count):
    tasks = [SlideTask(tmp_path / f"{k:02}.svs", f"{k:02}") for k in range(slides)]
    shards = [of_shard(tasks[::-1] if k % 2 else tasks, f"{k}/{count}") for k in range(1, count + 1)]
    assert sorted((t for shard in shards for t in shard), key=lambda t: t.name) == tasks
    sizes = [len(shard) for shard in shards]
    assert max(sizes) - min(sizes) <= 1
    assert of_shard(tasks, (2, count)) == shards[1] and of_shard(tasks, None) == tasks


@pytest.mark.parametrize("shard", ["0/4", "5/4", "4", "a/b", "-1/4", (1,), 3, "1/0"])
def test_a_shard_that_is_none_is_refused(shard):
    with pytest.raises(ValueError, match=r"shard: found .*, expected i/n"):
        of_shard([], shard)
