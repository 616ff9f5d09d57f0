import gzip

import pytest

from entreg.data.tables.streams import opened, undecodable
from entreg.errors import DataError


@pytest.mark.parametrize(
    "content, encoding, becomes",
    [
        ("aä\n".encode(), None, "aä\n"),
        ("\ufeffaä\r\n".encode(), None, "aä\r\n"),
        ("aä\n".encode("utf-16"), None, "aä\n"),
        ("\ufeffaä\n".encode("utf-16-be"), None, "aä\n"),
        ("aä\n".encode("latin-1"), "latin-1", "aä\n"),
        (b"a\x8a\r", "mac-roman", "aä\n"),
        (b"a\rb\r", None, "a\nb\n"),
    ],
)
def test_any_file_becomes_utf_8(tmp_path, content, encoding, becomes):
    (tmp_path / "t").write_bytes(content)
    (tmp_path / "t.gz").write_bytes(gzip.compress(content))
    for name in ("t", "t.gz"):
        with opened(tmp_path / name, encoding) as file:
            assert file.read().decode() == becomes


def test_what_is_not_packed_is_named(tmp_path):
    (tmp_path / "t.gz").write_bytes(b"x,y\n")
    with pytest.raises(DataError, match="t.gz cannot be unpacked: Not a gzipped file .*; get it again"):
        opened(tmp_path / "t.gz", None)


def test_another_encoding_than_the_one_that_was_given_is_named(tmp_path):
    (tmp_path / "t").write_bytes(b"a\n\xff\n")
    with pytest.raises(DataError, match="t, line 2: byte 0xff is not UTF-8; .* give data.text.encoding"):
        raise undecodable(tmp_path / "t")
    (tmp_path / "t").write_bytes(b"\xff\xfea")
    with pytest.raises(DataError, match="t, line 1: byte 0x61 is not utf-16; give another data.text.encoding"):
        opened(tmp_path / "t", None)
