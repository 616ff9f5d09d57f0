"""Names that come with a data set, on whatever system it was made."""

import os
from contextlib import suppress

import pytest

from entreg.data.images import size_of
from entreg.errors import DataError
from entreg.io.safe_paths import refuse_link_out, why_it_leads_out


@pytest.mark.parametrize(
    "name",
    [
        "a.png",
        "in door/*.png",
        "{folder}/{stem}.mat",
        "..a/b..",
        "a..b",
        ".",
        "täglich.png",
    ],
)
def test_names_below_the_folder_are_no_matter(name):
    assert why_it_leads_out(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "../a",
        "a/../../b",
        "..",
        "/etc/passwd",
        "C:/a",
        "c:a",
        "\\\\host\\share\\a",
        "\\a",
        "a\\..\\..\\b",
    ],
)
def test_names_that_lead_out_on_any_system_are_told(name):
    assert "must stay below the folder" in why_it_leads_out(name)


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_what_is_no_path_is_told(name):
    assert "give a path below" in why_it_leads_out(name)


def test_links_may_lead_anywhere_within_the_folder_alone(tmp_path):
    for name in ("set/inner", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "set/inner/a.png").touch()
    (tmp_path / "elsewhere/b.png").touch()
    (tmp_path / "set/link.png").symlink_to(tmp_path / "set/inner/a.png")
    (tmp_path / "set/out.png").symlink_to(os.path.relpath(tmp_path / "elsewhere/b.png", tmp_path / "set"))
    (tmp_path / "set/folder").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "whole").symlink_to(tmp_path / "set")
    for path in ("set/inner/a.png", "set/link.png"):
        refuse_link_out(tmp_path / path, tmp_path / "set")
    refuse_link_out(tmp_path / "whole/inner/a.png", tmp_path / "whole")
    secret = tmp_path / "elsewhere/b.png"
    for path in ("set/out.png", "set/folder/b.png"):
        with pytest.raises(DataError, match=rf"{path} is a link that leads out of .*set, to {secret}"):
            refuse_link_out(tmp_path / path, tmp_path / "set")


def test_a_link_to_itself_is_refused(tmp_path):
    """Some versions of Python stumble over it, others take it for a file that is not there."""
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    with suppress(DataError):
        refuse_link_out(tmp_path / "loop.png", tmp_path)
    with pytest.raises(DataError, match="loop.png is missing"):
        size_of(tmp_path / "loop.png")
