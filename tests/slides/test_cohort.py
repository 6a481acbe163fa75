"""Cohorts with real processes: each slide once, kills, faults, full disks."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import pytest
from fake_slides import segment, starts, write_slides
from scripts.slides.cohort import TissueBar, run_cohort
from scripts.slides.cohort_inputs import SlideTask
from scripts.slides.slide_record import Outcome, read_record

# a fork of this process, which has imported the bundle
FORK = multiprocessing.get_context("fork") if "fork" in multiprocessing.get_all_start_methods() else None
needs_fork = pytest.mark.skipif(FORK is None, reason="no fork on this system")


def _texts(folder):
    return {p.name: p.read_text() for p in folder.glob("*.txt")}


def _process(source, folder, **settings):
    process = FORK.Process(target=run_cohort, args=(source, segment, folder), kwargs={"progress": False, **settings})
    process.start()
    return process


def _wait(what, seconds=60.0):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def _begun(folder, *names):
    return lambda: all((folder / "starts" / name).is_file() for name in names)


def test_all_slides_are_segmented_once(tmp_path):
    source = write_slides(tmp_path / "in", a="good", b="good")
    run = {"progress": False, "fingerprint": "f"}
    assert run_cohort(source, segment, tmp_path / "out", **run) == {"slides": 2, "finished": 2, "before": 0, "in work": 0}
    write_slides(tmp_path / "in", c="good")
    assert run_cohort(source, None, tmp_path / "out", make_segment=lambda: segment, **run)["finished"] == 1
    assert starts(tmp_path / "out") == {"a": 1, "b": 1, "c": 1}
    assert _texts(tmp_path / "out") == {f"{n}.txt": f"{n}.svs None\n" for n in "abc"}
    assert run_cohort(source, segment, tmp_path / "out", progress=False, fingerprint="g")["finished"] == 3


def test_slides_that_fail_are_named_at_the_end_and_the_rest_is_done(tmp_path, caplog):
    source = write_slides(tmp_path / "in", a="broken", b="good", c="fault")
    with pytest.raises(SystemExit) as error:
        run_cohort(source, segment, tmp_path / "out", progress=False)
    assert str(error.value).splitlines() == [
        "2 slides were not segmented:",
        f"{source / 'a.svs'}: not a slide",
        f"{source / 'c.svs'}: KeyError: 'something of our own' (a fault of this program, or of a file of your own)",
    ]
    assert list(_texts(tmp_path / "out")) == ["b.txt"]
    write_slides(source, a="good", c="good")
    assert run_cohort(source, segment, tmp_path / "out", progress=False)["finished"] == 2


def test_a_full_disk_ends_the_run_with_one_line(tmp_path):
    source = write_slides(tmp_path / "in", a="good", b="full", c="good")
    with pytest.raises(SystemExit) as error:
        run_cohort(source, segment, tmp_path / "out", progress=False)
    line = f"{source / 'b.svs'}: {tmp_path / 'out/b.txt'}: the disk is full (No space left on device); "
    assert str(error.value) == line + "free some space, and the same command continues"
    assert starts(tmp_path / "out") == {"a": 1, "b": 1}
    write_slides(source, b="good")
    assert run_cohort(source, segment, tmp_path / "out", progress=False)["finished"] == 2


def test_a_folder_that_cannot_be_written_is_one_message(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match=f"{tmp_path / 'file'}"):
        run_cohort(write_slides(tmp_path / "in", a="good"), segment, tmp_path / "file", progress=False)


def test_an_engine_that_is_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="engine: found 'ray', expected one of process, dask"):
        run_cohort(tmp_path, segment, tmp_path / "out", engine="ray")


def test_a_dry_run_lists_the_work_with_minutes_and_writes_nothing(tmp_path, capsys):
    source = write_slides(tmp_path / "in", a="good", b="good")
    run_cohort([SlideTask(source / "a.svs", "a")], segment, tmp_path / "out", progress=False)
    before = sorted(p.name for p in (tmp_path / "out").iterdir())
    write_slides(source, c="broken", d="good")

    def estimate(task):
        if task.path.read_text() == "broken":
            raise ValueError(f"{task.path}: not a slide")
        return 1.25

    with pytest.raises(SystemExit, match=r"1 slides cannot be segmented:\n.*c\.svs: not a slide"):
        run_cohort(source, None, tmp_path / "out", dry_run=True, estimate=estimate)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["1.2", "min"] and lines[0].endswith("b.svs -> b")
    assert lines[-1] == "2 slides to do of 4, 2.5 min"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == before
    (source / "c.svs").unlink()
    work = run_cohort(source, None, tmp_path / "new", dry_run=True, shard="2/2", estimate=estimate)
    assert work == {"slides": 1, "to_do": ["b"], "minutes": 1.25} and not (tmp_path / "new").exists()


def test_shards_do_all_slides_and_faults_are_told_once(tmp_path):
    source = write_slides(tmp_path / "in", **{f"s{k}": "good" for k in range(5)})
    rows = "\n".join(f"s{k}.svs" for k in range(6))
    (source / "list.csv").write_text(f"slide\n{rows}\n")
    with pytest.raises(SystemExit, match=r"s5\.svs: no such file"):
        run_cohort(source / "list.csv", segment, tmp_path / "out", shard="1/2", progress=False)
    assert starts(tmp_path / "out") == {f"s{k}": 1 for k in (0, 2, 4)}
    assert run_cohort(source / "list.csv", segment, tmp_path / "out", shard="2/2", progress=False)["finished"] == 2
    assert (tmp_path / "out/cohort.csv").read_text().count("finished") == 5


@needs_fork
def test_two_processes_on_one_folder_never_do_the_same_slide(tmp_path, caplog):
    source = write_slides(tmp_path / "in", a="slow 60", b="good", c="good")
    out = tmp_path / "out"
    other = _process(source, out)
    try:
        _wait(_begun(out, "a"))
        with caplog.at_level("INFO"):
            assert run_cohort(source, segment, out, progress=False) == {
                "slides": 3,
                "finished": 2,
                "before": 0,
                "in work": 1,
            }
        assert f"a.svs: in work by a cohort (process {other.pid} on " in caplog.text
        (out / "go").touch()
        other.join(60)
        assert other.exitcode == 0
    finally:
        other.kill()
    assert starts(out) == {"a": 1, "b": 1, "c": 1}
    assert sorted(_texts(out)) == ["a.txt", "b.txt", "c.txt"]
    assert (out / "cohort.csv").read_text().count("finished") == 3
    assert not list(out.glob(".*"))


@needs_fork
def test_what_a_killed_process_had_in_work_is_done_by_the_other(tmp_path):
    source = write_slides(tmp_path / "in", a="slow 60", b="slow 60")
    out = tmp_path / "out"
    killed = _process(source, out)
    _wait(_begun(out, "a"))
    other = _process(source, out)
    try:
        _wait(_begun(out, "b"))
        os.kill(killed.pid, signal.SIGKILL)
        killed.join()
        (out / "go").touch()
        other.join(60)
        assert other.exitcode == 0
    finally:
        other.kill()
    assert starts(out) == {"a": 2, "b": 1} and sorted(_texts(out)) == ["a.txt", "b.txt"]


@needs_fork
def test_a_killed_run_goes_on(tmp_path):
    source = write_slides(tmp_path / "in", a="good", b="slow 60", c="good")
    out = tmp_path / "out"
    for number in (1, 2):
        process = _process(source, out)
        _wait(
            lambda n=number: (out / "starts/b").is_file() and starts(out)["b"] == n and read_record(out, "b")["starts"] == n
        )
        process.kill()
        process.join()
    assert list(_texts(out)) == ["a.txt"]
    write_slides(source, b="slow 60")  # the same bytes at another time: another slide
    (out / "go").touch()
    assert run_cohort(source, segment, out, progress=False) == {"slides": 3, "finished": 2, "before": 1, "in work": 0}
    assert starts(out) == {"a": 1, "b": 3, "c": 1}
    reference = tmp_path / "reference"
    (reference).mkdir()
    (reference / "go").touch()
    run_cohort(source, segment, reference, progress=False)
    assert _texts(out) == _texts(reference)
    assert not list(out.glob(".*"))


@needs_fork
def test_a_slide_that_ends_its_process_comes_last(tmp_path):
    source = write_slides(tmp_path / "in", a="kills", b="good")
    out = tmp_path / "out"
    for done in ([], [], ["b.txt"], ["b.txt"]):
        process = _process(source, out)
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        assert list(_texts(out)) == done


def test_the_bar_counts_each_mm2_once_and_guesses_the_total():
    bar = TissueBar(4, show=False)
    for mm2 in (1.0, 3.0, 2.0):  # a slide that is begun anew
        bar.reach("a", mm2)
    bar.end(Outcome("a", "finished"))
    assert bar.reached == {"a": 3.0} and bar.bar.total == 12.0
    bar.reach("b", 1.0)
    bar.end(Outcome("b", "finished"))
    assert bar.bar.total == 8.0
    bar.close()
