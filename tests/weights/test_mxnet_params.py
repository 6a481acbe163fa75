from __future__ import annotations

import struct

import numpy as np
import pytest
from published_files import write_params
from scripts.weights.mxnet_params import read_mxnet_params

ARRAYS = {
    "arg:conv_weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "arg:bn_gamma": np.array([0.5, -1.5, 65504], np.float16),
    "aux:bn_moving_mean": np.array([1e-300, 7], np.float64),
}


@pytest.mark.parametrize("version", ["legacy", "v1", "v2"])
def test_round_trip(tmp_path, version):
    found = read_mxnet_params(write_params(tmp_path / "m.params", ARRAYS, version))
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_truncated_anywhere_is_one_clear_error(tmp_path):
    """Cut at every byte: never a crash of another kind, never a result."""
    whole = write_params(tmp_path / "m.params", ARRAYS).read_bytes()
    for length in range(len(whole)):
        (tmp_path / "cut.params").write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"cut\.params"):
            read_mxnet_params(tmp_path / "cut.params")


def patched(path, position: int, layout: str, value: int):
    data = bytearray(path.read_bytes())
    struct.pack_into(layout, data, position, value)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("position", "layout", "value", "message"),
    [
        (0, "<Q", 0x113, "magic"),
        (16, "<Q", 10**9, "more than the file can hold"),
        (24, "<I", 0xF993FACA, "V3"),
        (24, "<I", 0xDEADBEEF, "known header"),
        (28, "<i", 1, "storage type 1"),
        (36, "<q", -2, "shape"),
        (36, "<q", 2**40, "truncated"),
        (76, "<i", 99, "element type 99"),
    ],
)
def test_faults(tmp_path, position, layout, value, message):
    path = patched(write_params(tmp_path / "m.params", ARRAYS), position, layout, value)
    with pytest.raises(ValueError, match=message):
        read_mxnet_params(path)


def test_more_faults(tmp_path):
    path = write_params(tmp_path / "m.params", ARRAYS)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ValueError, match="1 bytes behind the end"):
        read_mxnet_params(path)
    (tmp_path / "empty.params").touch()
    with pytest.raises(ValueError, match="empty"):
        read_mxnet_params(tmp_path / "empty.params")
    with pytest.raises(FileNotFoundError):
        read_mxnet_params(tmp_path / "none.params")
    data = write_params(tmp_path / "twice.params", {"a": ARRAYS["arg:bn_gamma"], "b": ARRAYS["arg:bn_gamma"]}).read_bytes()
    (tmp_path / "twice.params").write_bytes(data[:-1] + b"a")
    with pytest.raises(ValueError, match="stands twice"):
        read_mxnet_params(tmp_path / "twice.params")
