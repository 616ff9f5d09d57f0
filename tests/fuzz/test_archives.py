"""Damaged zip archives: what was packed is unpacked, or one line says what is wrong, and nothing else is written."""

from __future__ import annotations

import io
import stat
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st

from entreg.io.archives import unpacked
from tests.fuzz.driver import outcome, tried
from tests.fuzz.mutations import damaged

Drive = Callable[..., None]
CONTENTS = (b"", b"a" * 700, bytes(range(256)), b"x,y\n1,2\n")
NAMES = ("set/a.jpg", "set/b/c.mat", "set/ä ö.csv", "other/d.txt", "__MACOSX/set/._a.jpg")
WRONG_NAMES = (
    "../x",
    "set/../../x",
    "/etc/x",
    "C:\\x",
    "C:x",
    "\\\\server\\x",
    "set\\..\\..\\x",
    "set/a.jpg/x",
    "set//a.jpg",
    "set",
    "set/",
    ".",
    "",
    "..",
    "set/a\0.jpg",
    "set/\x1b[2J",
    "set/" + "x" * 300,
    "set/" + "x/" * 200 + "x",
    "SET/a.jpg",
)
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
KINDS = (0, stat.S_IFREG, stat.S_IFREG, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR)


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """A zip archive as `zipfile` writes it, of names and kinds that may be wrong; half of them damaged."""
    made, names = io.BytesIO(), st.sampled_from((*NAMES, *NAMES, *NAMES, *WRONG_NAMES))
    is_wrong = draw(st.booleans())
    with warnings.catch_warnings(), zipfile.ZipFile(made, "w") as archive:
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name in draw(st.lists(names, min_size=1, max_size=5)) if is_wrong else NAMES:
            entry = zipfile.ZipInfo("placeholder")
            entry.filename = entry.orig_filename = name  # as it is: zipfile would mend it
            entry.compress_type = draw(st.sampled_from(METHODS))
            entry.external_attr = (draw(st.sampled_from(KINDS)) if is_wrong else stat.S_IFREG) << 16
            archive.writestr(entry, draw(st.sampled_from(CONTENTS)))
    return made.getvalue() if draw(st.booleans()) else draw(damaged(made.getvalue()))


@tried(60, 1000)
def test_a_damaged_archive(tmp_path: Path, drive: Drive, count: int) -> None:
    """Of whatever is unpacked every byte was packed; outside the archive's own folder nothing comes to be."""
    path = tmp_path / "deep" / "er" / "set.zip"
    path.parent.mkdir(parents=True)

    def everything() -> set[Path]:
        return set(tmp_path.rglob("*"))

    before = everything() | {path}

    def take() -> None:
        with unpacked(path, "set") as found:
            inside = path.parent / ".set.zip.unpacking"
            made = everything() - before
            assert all(one == inside or inside in one.parents for one in made) and not found.is_symlink()
            assert all(one.is_dir() or one.is_file() for one in made) and not any(one.is_symlink() for one in made)
            assert all(one.read_bytes() in CONTENTS for one in made if one.is_file())

    def check(content: bytes) -> str:
        path.write_bytes(content)
        how = outcome(take, str(path))
        assert everything() == before
        return how

    drive(count, archives(), check)
