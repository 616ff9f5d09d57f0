"""Files of tensors. They are pickles, so this is the only module that reads one, and none runs what a file holds.

PyTorch promises that of `weights_only=True`, and broke the promise in older versions: there a file that this user has
not written with entreg is read only where `trust=true` says that its source is trusted.
"""

from __future__ import annotations

import hashlib
import io
import logging
import pickle
import re
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import torch

from entreg import files
from entreg.errors import DataError, UserError, brief

log = logging.getLogger(__name__)

# the first version without the fault, and the advisory (GHSA-53q9-r3pm-6pq6 and GHSA-63cw-57p8-fm3p on github.com)
ADVISORIES = {(2, 6): "CVE-2025-32434", (2, 10): "CVE-2026-24747"}
SAFE = ".".join(map(str, max(ADVISORIES)))
# SHA-256 of the files that this user has written where PyTorch has the fault, a line each
OWN = Path("~/.cache/entreg/own_files.txt").expanduser()

_trusts = False


def trust(all_files: bool) -> None:
    """Whether files from elsewhere are read where this PyTorch cannot do so safely; says so once."""
    global _trusts
    if all_files and not _trusts and advisories():
        log.warning(
            "trust=true: files are read by PyTorch %s, which %s lets run code that a file holds",
            torch.__version__,
            " and ".join(advisories()),
        )
    _trusts = all_files


def advisories() -> list[str]:
    """The known faults of this PyTorch by which a file can run code."""
    found = re.match(r"(\d+)\.(\d+)", torch.__version__)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    return [name for fixed, name in ADVISORIES.items() if version < fixed]


def write(path: Path, content: Any) -> None:
    """Writes tensors and plain containers; a kill at any moment leaves the previous file or the new one, whole."""
    # torch's own writer hides what the system says where a write fails
    made = io.BytesIO()
    torch.save(content, made)
    if advisories():
        OWN.parent.mkdir(parents=True, exist_ok=True)
        with open(OWN, "a", encoding="ascii") as file:
            file.write(hashlib.sha256(made.getbuffer()).hexdigest() + "\n")
    files.write(path, lambda file: file.write(made.getbuffer()))


def read(path: Path, known_sha256: Collection[str | None] = ()) -> Any:
    """What the file holds, on the CPU. DataError where it is damaged, UserError where its source must be trusted.

    Files since PyTorch 1.6 are zip archives, whose checksums are tested first.
    known_sha256: whole digests of files whose source is known
    """
    _refuse_unknown(path, known_sha256)
    try:
        if zipfile.is_zipfile(path):
            files.check_zip(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        if not all(one.device.type == "cpu" and one.layout == torch.strided for one in _tensors_in(content)):
            raise ValueError("a tensor in it has no plain values")
        return content
    except Exception as error:  # torch raises many kinds for a damaged file
        first, *_ = str(error).strip().splitlines() or [type(error).__name__]
        if isinstance(error, pickle.UnpicklingError):  # PyTorch tells how to load it without its protection
            first = "it is damaged, or holds other things than tensors, numbers and text"
        reason = f"cannot be read as a file of tensors: {brief(first)}"
        raise DataError(f"{path}: {reason}; restore it, or make it anew") from error


def _tensors_in(content: Any) -> Iterator[torch.Tensor]:
    if isinstance(content, torch.Tensor):
        yield content
    elif isinstance(content, (dict, list, tuple)):
        for below in content.values() if isinstance(content, dict) else content:
            yield from _tensors_in(below)


def _refuse_unknown(path: Path, known_sha256: Collection[str | None]) -> None:
    if _trusts or not advisories() or not path.is_file():
        return
    digest = files.sha256(path)
    if digest in known_sha256:
        return
    if OWN.is_file() and digest in OWN.read_text(encoding="ascii").split():
        return
    raise UserError(
        f"{path} comes from elsewhere, and PyTorch {torch.__version__} can be made to run code that a file holds "
        f"({', '.join(advisories())}).\n"
        f"  safe with any file            PyTorch {SAFE} or later\n"
        "  you trust whoever made it     trust=true (in Python: entreg.load(..., trust=True))"
    )
