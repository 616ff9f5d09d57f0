"""Sums of files, and their list, which sha256sum checks as well."""

from __future__ import annotations

import hashlib
import shutil
import subprocess

import pytest

from entreg.errors import DataError
from entreg.io import sums

NAMES = "plain.csv", "maps/with two  blanks.npz", "back\\slash", "of two\nlines"


@pytest.fixture
def folder(tmp_path):
    for i, name in enumerate(NAMES):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes([i]))
    return tmp_path


def test_the_sums_of_files_that_are_there(folder):
    found = sums.sums_of(folder, [folder / NAMES[0], folder / NAMES[1], folder / "none"])
    assert found == {NAMES[0]: hashlib.sha256(b"\0").hexdigest(), NAMES[1]: hashlib.sha256(b"\1").hexdigest()}


def test_what_was_changed_and_what_is_missing_is_named(folder):
    known = sums.sums_of(folder, (folder / name for name in NAMES))
    assert sums.differing(folder, known) == {}
    (folder / NAMES[0]).write_bytes(b"x")
    (folder / NAMES[2]).unlink()
    assert sums.differing(folder, known) == {NAMES[0]: "was changed", NAMES[2]: "is missing"}


def test_the_list_is_read_again_and_checked_by_sha256sum(folder):
    known = sums.sums_of(folder, (folder / name for name in NAMES))
    sums.write(folder / "SHA256SUMS", known)
    assert sums.read(folder / "SHA256SUMS") == known
    if program := shutil.which("sha256sum"):
        checked = subprocess.run([program, "--check", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True)
        assert checked.returncode == 0 and checked.stdout.count(b": OK") == len(NAMES)


@pytest.mark.parametrize("line", ["x", f"{'0' * 64}  ../a", f"{'0' * 64}  /etc/passwd", f"{'0' * 63}  a"])
def test_what_is_no_list_of_files_beside_it_is_refused(tmp_path, line):
    (tmp_path / "SHA256SUMS").write_text(f"{line}\n")
    with pytest.raises(DataError, match="is not a list of SHA-256 sums of the files beside it"):
        sums.read(tmp_path / "SHA256SUMS")
    with pytest.raises(DataError, match="cannot be read"):
        sums.read(tmp_path / "none")
