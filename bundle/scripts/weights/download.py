"""Weights named by a path or by an address, checked against their hash."""

from __future__ import annotations

import os
import re
import socket
import string
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.parse import unquote, urlparse

import torch

from ..core.digest import file_sha256

__all__ = ["weights_file"]

# torch's convention: "resnet101-63fe2227.pth" begins to hash like that
_HASH_IN_NAME = re.compile(r"-([a-f0-9]{8,64})\.[A-Za-z.]+$")
_TIMEOUT = 60  # seconds


def weights_file(source: str | os.PathLike, sha256: str | None = None, cache: str | Path | None = None) -> Path:
    """A local file of what ``source`` names, downloaded where it is an address.

    Args:
        source: path, or ``http(s)://`` or ``file://`` address.
        sha256: SHA-256 of the file or its first 8 or more hexadecimal digits. An address needs one, here or in its file name
            as torch writes it (``resnet101-63fe2227.pth``); a path is checked only against one given here.
        cache: folder for downloads; by default torch's, ``$TORCH_HOME/hub/checkpoints``. What lies there under the same
            name and hash is not downloaded again.

    Raises:
        FileNotFoundError: no such file.
        OSError: the address cannot be reached, or says nothing for a minute.
        ValueError: no hash for an address, or the file has another one; nothing is kept of such a download.
    """
    source = os.fspath(source)
    if sha256 is not None and (not 8 <= len(sha256) <= 64 or set(sha256) - set(string.hexdigits)):
        raise ValueError(f"hash of {source}: expected 8 to 64 hexadecimal digits of its SHA-256, found {sha256!r}")
    address = urlparse(source)
    if address.scheme not in ("http", "https", "file"):
        path = Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file")
        if sha256 is not None:
            _check(path, sha256, path)
        return path
    name = Path(unquote(address.path)).name
    found = _HASH_IN_NAME.search(name)
    sha256 = sha256 or (found and found[1])
    if not name or not sha256:
        raise ValueError(f"{source}: an address needs the SHA-256 of its file (initial_hash), as anybody could answer there")
    folder = Path(cache) if cache is not None else Path(torch.hub.get_dir()) / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    if path.is_file():
        _check(path, sha256, f"{path}, kept from an earlier download of {source},")
        return path
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT)  # torch waits for ever
    try:
        torch.hub.download_url_to_file(source, str(path), hash_prefix=sha256.lower())
    except RuntimeError as error:  # torch's word for another hash
        raise ValueError(f"{source}: {error}") from error
    except (OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else str(error) or type(error).__name__
        raise OSError(f"{source}: cannot be downloaded ({reason}); download it by hand and name its path") from error
    finally:
        socket.setdefaulttimeout(before)
    return path


def _check(path: Path, sha256: str, what: object) -> None:
    found = file_sha256(path)
    if not found.startswith(sha256.lower()):
        raise ValueError(f"{what} has SHA-256 {found}, expected one that starts with {sha256.lower()}")
