"""Hashes are those of the files' whole content."""

import hashlib

import pytest

from entreg.errors import DataError
from entreg.io import digests


def test_the_digests_of_many_files_come_in_their_order_and_one_that_cannot_be_read_is_named(tmp_path):
    paths = [tmp_path / str(i) for i in range(50)]
    for i, path in enumerate(paths):
        path.write_bytes(bytes([i]) * (i * 10_000))
    assert digests.sha256_of_each(paths) == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    paths[3].unlink()
    with pytest.raises(DataError, match=rf"^{paths[3]}: cannot be read: No such file"):
        digests.sha256_of_each(paths)


def test_a_digest_is_that_of_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert digests.sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_that_is_larger_than_one_part_is_hashed_whole(tmp_path):
    for size in (0, digests.PART_BYTES - 1, digests.PART_BYTES, 2 * digests.PART_BYTES + 1):
        content = bytes(i % 251 for i in range(size))
        (tmp_path / "a").write_bytes(content)
        assert digests.sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()
        assert digests.digest_of(tmp_path / "a", "md5") == hashlib.md5(content).hexdigest()
