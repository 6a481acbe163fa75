from __future__ import annotations

import os

import pytest
import torch
from scripts.core.threads import available_threads, set_threads

GROUPS = "sys/fs/cgroup"


def _write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def _quota(folder, quota, period=100000):
    return {f"{GROUPS}/{folder}/cpu.cfs_quota_us": f"{quota}\n", f"{GROUPS}/{folder}/cpu.cfs_period_us": f"{period}\n"}


@pytest.fixture
def eight(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        ("", {}, 8),  # no control groups
        ("0::/\n", {f"{GROUPS}/cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {f"{GROUPS}/cpu.max": "250000 100000\n"}, 2),
        ("0::/\n", {f"{GROUPS}/cpu.max": "50000 100000\n"}, 1),  # half a processor
        ("0::/\n", {f"{GROUPS}/cpu.max": "1600000 100000\n"}, 8),  # more than the affinity
        (
            "0::/a/b\n",
            {f"{GROUPS}/a/b/cpu.max": "max 100000\n", f"{GROUPS}/a/cpu.max": "300000 100000\n"},
            3,
        ),  # an outer one
        ("0::/of/the/host\n", {f"{GROUPS}/cpu.max": "400000 100000\n"}, 4),  # a container sees its own group at the top
        ("4:cpu,cpuacct:/x\n3:memory:/y\n", _quota("cpu,cpuacct/x", 350000), 3),
        ("4:cpu,cpuacct:/x\n", _quota("cpu", 200000), 2),  # of a container, by the name of the link
        ("4:cpu:/\n", _quota("cpu", -1), 8),
        ("3:cpuset:/x\n", _quota("cpuset/x", 100000), 8),  # not the group of that controller
        ("damaged\n::\n", {}, 8),
        ("0::/\n", {f"{GROUPS}/cpu.max": "what\n"}, 8),
    ],
)
def test_threads_are_no_more_than_affinity_and_quota_allow(tmp_path, eight, group, files, expected):
    assert available_threads(_write(tmp_path, {"proc/self/cgroup": group, **files})) == expected


@pytest.fixture
def torch_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_threads_are_those_asked_for_then_those_of_the_variable_then_those_there_are(monkeypatch, torch_threads):
    monkeypatch.setattr("scripts.core.threads.available_threads", lambda: 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    torch.set_num_threads(5)
    assert set_threads() == 5  # a word of the user's
    assert set_threads(3) == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert set_threads() == 2
    torch.set_num_threads(1)
    assert set_threads() == 1  # never more than PyTorch takes


@pytest.mark.parametrize("count", [0, -1, 1.5, "2", True])
def test_what_is_no_number_of_threads_is_refused(count):
    with pytest.raises(ValueError, match=r"threads: found .* at least 1"):
        set_threads(count)
