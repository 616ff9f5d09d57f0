"""What is said of a published file."""

from entreg.io.published_file import DEEPGAZE2E, Published

SHA256 = f"sha256:{'0a' * 32}"


def test_what_is_published_of_a_file_is_said():
    assert Published("http://a/b/c.zip?download=1").name == "c.zip"
    assert str(Published("http://a/c.zip", SHA256, 574_673_361)) == f"http://a/c.zip (575 MB, {SHA256})"
    assert str(Published("http://a/c.zip")) == "http://a/c.zip (size unknown, no hash published)"


def test_its_sha256_is_told_where_it_is_known():
    assert Published("http://a/c.zip", SHA256).sha256 == "0a" * 32
    assert Published("http://a/c.zip", f"md5:{'0a' * 16}").sha256 is Published("http://a/c.zip").sha256 is None
    assert len(DEEPGAZE2E.sha256) == 64
