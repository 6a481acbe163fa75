"""Rows of labels on disk: what is written is there, what was half written is not."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
from scripts.slides.label_rows import LabelRows

MAP = np.arange(7 * 5, dtype=np.uint8).reshape(7, 5)


def test_rows_come_back_and_go_on_where_they_ended(tmp_path):
    with LabelRows(tmp_path / "labels", MAP.shape) as rows:
        rows.append(MAP[:3])
        assert rows.done == 3
        np.testing.assert_array_equal(rows.read(1, 5), MAP[1:3])
    with open(tmp_path / "labels", "ab") as file:
        file.write(b"xy")  # of a row whose writer was killed
    with LabelRows(tmp_path / "labels", MAP.shape) as rows:
        assert rows.done == 3
        rows.append(MAP[3:])
        np.testing.assert_array_equal(rows.read(0, 7), MAP)
        np.testing.assert_array_equal(rows.read(5, 100), MAP[5:])


@pytest.mark.parametrize("wrong", [MAP[:, :4], MAP.astype(int), np.concatenate([MAP, MAP])])
def test_what_is_no_part_of_the_map_is_refused(tmp_path, wrong):
    with LabelRows(tmp_path / "labels", MAP.shape) as rows, pytest.raises(ValueError, match="at most 7 rows of 5 bytes"):
        rows.append(wrong)


def test_a_file_of_another_map_is_named(tmp_path):
    (tmp_path / "labels").write_bytes(b"0" * 100)
    with pytest.raises(ValueError, match="labels: holds 20 rows of a label map of 7"):
        LabelRows(tmp_path / "labels", MAP.shape)


def test_rows_that_do_not_fit_the_disk_name_their_file(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no full device")
    with LabelRows(tmp_path / "rows", (4, 8)) as rows:
        rows._file.close()
        rows._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
        with pytest.raises(OSError, match=r"No space left.*rows") as error:
            rows.append(np.zeros((4, 8), np.uint8))
        assert error.value.errno == errno.ENOSPC and rows.done == 0
