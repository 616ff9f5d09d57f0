"""Unpacking what somebody else has packed: the wanted folder as it was, or one line and nothing left behind."""

from __future__ import annotations

import stat
import struct
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from entreg.errors import DataError
from entreg.io import archives as module
from entreg.io.archives import unpacked

FILES = {"set/a.jpeg": b"a" * 1000, "set/b/c.mat": b"", "set/b/ä ö.jpg": bytes(range(256))}


def packed(path, files, **kinds):
    """A zip archive of files by name; kinds: the file type that Unix gives a name."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo("placeholder")
            entry.filename = entry.orig_filename = name  # as it is: zipfile would mend it
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (kinds.get("kind", stat.S_IFREG) | 0o777) << 16
            archive.writestr(entry, content)
    return path


@pytest.fixture
def archive(tmp_path):
    """archive(files): a zip archive of these and of FILES."""
    return lambda files=(), **kinds: packed(tmp_path / "set.zip", FILES | dict(files), **kinds)


def take(archive, wanted="set"):
    """The contents of the wanted folder by name."""
    with unpacked(archive, wanted) as folder:
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_refused(archive, said):
    with pytest.raises(DataError, match=said) as caught:
        take(archive)
    assert str(archive) in str(caught.value)
    assert list(archive.parent.rglob("*")) == [archive]


def test_the_wanted_folder_comes_as_it_was_and_alone(archive):
    path = archive({"README.txt": b"not wanted", "settings/x": b"not wanted either"})
    assert take(path) == {name.removeprefix("set/"): content for name, content in FILES.items()}
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_within_can_be_wanted(archive):
    assert take(archive(), "set/b") == {"c.mat": b"", "ä ö.jpg": bytes(range(256))}


def test_a_file_can_be_wanted(archive):
    with unpacked(archive(), "set/a.jpeg") as file:
        assert file.read_bytes() == b"a" * 1000


def test_what_systems_put_beside_files_is_left_out(archive):
    junk = ["__MACOSX/set/._a.jpeg", "set/.DS_Store", "set/.svn/entries", "set/b/._c.mat", "set/Thumbs.db"]
    assert len(take(archive(dict.fromkeys(junk, b"junk")))) == len(FILES)


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "set/../../x",
        "set/b/..",
        "/etc/x",
        "\\\\server\\x",
        "..\\x",
        "set\\..\\..\\x",
        "C:x",
        "c:\\x",
        "C:/x",
        "set/a\0.jpeg",
        "set/a\n.jpeg",
        "__MACOSX/../../x",
    ],
)
def test_names_that_may_lie_outside_are_refused(archive, name):
    assert_refused(archive({name: b"x"}), "is not unpacked: it names .*outside its folder")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_are_refused(archive, kind):
    assert_refused(archive({"set/link": b"/etc/passwd"}, kind=kind), "is a link or a device")


def test_nothing_is_executable(archive):
    with unpacked(archive(), "set") as folder:
        assert not any(path.stat().st_mode & 0o111 for path in folder.rglob("*") if path.is_file())


def test_a_bomb_is_refused_before_it_is_unpacked(archive, monkeypatch):
    monkeypatch.setattr(module, "_write", None)
    assert_refused(archive({"set/bomb": bytes(10_000_000)}), r"\d+,\d+ bytes would become 10,001,256, more than any")


def test_more_bytes_than_any_set_has_are_refused(archive, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    assert_refused(archive(), "bytes would become 1,256")


def test_more_files_than_any_set_has_are_refused(archive, monkeypatch):
    monkeypatch.setattr(module, "MOST_FILES", 10)
    assert_refused(archive({f"set/{i}": b"" for i in range(8)}), "it holds 11 files, and 10 is the limit")


def test_a_bomb_that_declares_itself_small_is_damaged(archive):
    """Ten megabytes whose headers say 10 bytes: no more than 10 are written, and their checksum is wrong."""
    noise = np.random.Generator(np.random.PCG64(0)).bytes(1_000_000)
    path = archive({"set/big": noise})
    content = path.read_bytes()
    size = struct.pack("<I", len(noise))
    assert content.count(size) == 2  # in the file's own header and in the directory
    path.write_bytes(content.replace(size, struct.pack("<I", 10)))
    assert_refused(path, "cannot be unpacked: set/big: Bad CRC-32")


def test_a_disk_that_is_too_small_is_named(archive, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=9))
    assert_refused(archive(), "it needs 0.00 GB")


def test_a_disk_that_is_full_is_named_and_nothing_is_left(archive, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.shutil, "copyfileobj", full)
    assert_refused(archive(), "cannot be unpacked: set/a.jpeg: No space left on device")


def test_a_folder_that_is_not_there_is_named(archive):
    with pytest.raises(DataError, match="set.zip does not contain other"):
        take(archive(), "other")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [["set/x", "set//x"], ["set/x", "set/x/y"], ["set/x", "set/./x"]])
def test_names_that_get_in_each_others_way_are_refused(archive, names):
    assert_refused(archive(dict.fromkeys(names, b"x")), "cannot be unpacked: set/x.*: (File exists|Not a directory)")


def test_a_name_that_is_too_long_is_refused(archive):
    with pytest.raises(DataError, match="File name too long"):
        take(archive({f"set/{'x' * 300}": b"x"}))


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_archive_is_named_with_the_way_out(tmp_path, content):
    path = tmp_path / "set.zip"
    path.write_bytes(content)
    assert_refused(path, r"cannot be unpacked: File is not a zip file\n  download it again   remove it$")


def test_a_damaged_archive_gives_one_line_whatever_the_damage(archive):
    """Bytes flipped and ends cut off: what was packed, or a DataError with nothing left behind."""
    path = archive()
    whole, rng = path.read_bytes(), np.random.Generator(np.random.PCG64(1))
    refused = 0
    for number in range(120):
        content = bytearray(whole)
        for place in rng.integers(0, len(content), 1 + number % 3):
            content[place] ^= 1 << rng.integers(8)
        path.write_bytes(content[: rng.integers(1, len(content))] if number % 10 == 0 else content)
        try:
            found = take(path)
        except DataError as error:
            assert str(path.parent) in str(error)
            refused += 1
        else:
            assert all(content in FILES.values() for content in found.values())
        assert list(path.parent.iterdir()) == [path]
    assert refused > 40


def test_what_a_killed_process_has_left_is_cleared(archive):
    path = archive()
    left = path.parent / ".set.zip.unpacking/set"
    left.mkdir(parents=True)
    (left / "half.jpeg").write_bytes(b"half")
    assert "half.jpeg" not in take(path)
