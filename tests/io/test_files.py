"""Files are whole or not there, and the forms that they are written in."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from entreg.errors import DataError
from entreg.io import files


def test_a_table_has_every_key_that_a_row_has(tmp_path):
    files.write_csv(tmp_path / "a.csv", [{"x": 1}, {"x": 2, "y": None}, {"y": 3}])
    assert (tmp_path / "a.csv").read_text() == "x,y\n1,\n2,\n,3\n"


def test_a_row_is_one_line_whatever_its_texts_hold(tmp_path):
    files.write_csv(tmp_path / "a.csv", [{"x": "a\n=b\x1b[31m\ud800 é", "y": 1.5}])
    assert (tmp_path / "a.csv").read_text() == "x,y\n" + r"a\n=b\x1b[31m\ud800 é" + ",1.5\n"


def test_json_without_nan(tmp_path):
    with pytest.raises(ValueError):
        files.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not list(tmp_path.iterdir())


@pytest.fixture
def place(tmp_path):
    return tmp_path / "place"


def test_a_file_is_created_once_and_whole(tmp_path):
    path = tmp_path / "folder/a.txt"
    assert files.create(path, "first") is True
    assert files.create(path, "second") is False
    assert path.read_text() == "first" and list(path.parent.iterdir()) == [path]


def test_of_many_that_create_a_file_at_once_one_succeeds(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        for turn in range(20):
            path = tmp_path / f"{turn}.txt"
            created = list(pool.map(lambda text, path=path: files.create(path, text), "abcdefgh"))
            assert created.count(True) == 1 and path.read_text() == "abcdefgh"[created.index(True)]


def test_an_exchange_of_files_needs_no_links(tmp_path, monkeypatch):
    """FAT, and some network file systems."""

    def none(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", none)
    test_a_file_is_created_once_and_whole(tmp_path)


@pytest.mark.parametrize(
    "text, found",
    [
        (
            "a: 1\nb: [1.5, 1e-05, 1.5e-07, -2E3, x1e5, null, true]",
            {"a": 1, "b": [1.5, 1e-5, 1.5e-7, -2000.0, "x1e5", None, True]},
        ),
        ("a: ${oc.env:HOME}", {"a": "${oc.env:HOME}"}),
        ("", None),
    ],
    ids=["values", "interpolation", "empty"],
)
def test_yaml_is_read_as_plain_values(tmp_path, text, found):
    (tmp_path / "a.yaml").write_text(text)
    assert files.read_yaml(tmp_path / "a.yaml") == found


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system ['true']",
        "a: !!python/name:os.system",
        "a: &x [1]\nb: *x",
        "a: [",
        "a: \0",
        "x" * 1_000_001,
        "[" * 5000,
    ],
    ids=["call", "name", "alias", "unfinished", "control character", "too long", "too deep"],
)
def test_yaml_that_asks_for_more_or_is_none_is_refused_in_one_line(tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(DataError) as caught:
        files.read_yaml(tmp_path / "a.yaml")
    assert str(caught.value).startswith(f"{tmp_path / 'a.yaml'}: cannot be read as YAML: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a": 1}x'], ids=["empty", "open", "deep", "more"])
def test_what_is_no_json_is_named(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=r"a.json: cannot be read as JSON: "):
        files.read_json(tmp_path / "a.json")


def test_space_is_taken_and_what_is_there_is_kept(place):
    place.write_bytes(b"abc")
    files.reserve(place, 100_000)
    assert place.read_bytes() == b"abc" + bytes(99_997)
    assert place.stat().st_blocks * 512 >= 99_997
    files.reserve(place, 10)
    assert place.stat().st_size == 100_000


@pytest.mark.parametrize("number", sorted(files.NOT_SUPPORTED), ids=errno.errorcode.get)
def test_where_space_cannot_be_taken_the_file_has_its_length_all_the_same(place, monkeypatch, number):
    """NFS before 4.2, CephFS, older Lustre and ramfs have no fallocate; glibc's own way fails in one of these ways."""

    def unsupported(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    files.reserve(place, 1000)
    assert place.read_bytes() == bytes(1000)


def test_where_there_is_no_such_call_the_file_has_its_length_all_the_same(place, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate")
    files.reserve(place, 1000)
    assert place.read_bytes() == bytes(1000)


def test_a_full_disk_is_found_when_space_is_taken(place, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        files.reserve(place, 1000)


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    names = [".a.json.1234abcd.tmp", "a.tmp", ".hidden", ".of_another_program.tmp", "below/.last.pt.1234abcd.tmp"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    files.remove_temporary(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == [
        ".hidden",
        ".of_another_program.tmp",
        "a.tmp",
        "below/.last.pt.1234abcd.tmp",
    ]


def test_what_is_wrong_in_a_yaml_has_its_line(tmp_path):
    (tmp_path / "a.yaml").write_text("a: 1\nb: [1\nc: 2\n")
    with pytest.raises(DataError, match=r"a.yaml: cannot be read as YAML: line 3: .*; restore it, or leave"):
        files.read_yaml(tmp_path / "a.yaml")
