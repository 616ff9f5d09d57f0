import unicodedata
from pathlib import Path

import pytest

from entreg.data.tables.image_names import match
from entreg.errors import DataError

PICTURES = ["in/a.png", "out/a.png", "Straße.JPG", "page1.jpg", "2.0.png", "unique/b.c.png"]


@pytest.mark.parametrize(
    "name, picture",
    [
        ("in/a.png", "in/a.png"),
        ("in\\A.PNG", "in/a.png"),
        ("out/a", "out/a.png"),
        ("page1", "page1.jpg"),
        ("Page1.bmp", "page1.jpg"),
        (r"C:\Users\me\stimuli\page1.jpg", "page1.jpg"),
        ("../somewhere/b.c.png", "unique/b.c.png"),
        ("2.0.png", "2.0.png"),
        (unicodedata.normalize("NFD", "Stra\u00dfe.jpg"), "Straße.JPG"),
        ("nowhere.png", None),
        ("", None),
        (".", None),
        ("png", None),
    ],
)
def test_names_as_programs_write_them(name, picture):
    assert match([name], PICTURES, Path("stimuli")).get(name) == picture


def test_an_umlaut_in_two_pieces_is_the_same_letter():
    assert match(["ba\u0308r"], ["b\u00e4r.png"], Path("s")) == {"ba\u0308r": "b\u00e4r.png"}


def test_what_may_be_two_pictures_is_refused_with_both():
    with pytest.raises(
        DataError, match=r"stimuli: the image 'a.png' of the table may be 'in/a.png' or 'out/a.png'; give"
    ):
        match(["a.png"], PICTURES, Path("stimuli"))
    with pytest.raises(DataError, match="may be 'x.jpg' or 'x.png'"):
        match(["x"], ["x.jpg", "x.png"], Path("stimuli"))
    assert match(["x.png"], ["x.jpg", "x.png"], Path("stimuli")) == {"x.png": "x.png"}


def test_two_names_of_one_picture_are_refused_unless_they_are_the_same_but_for_capitals():
    with pytest.raises(DataError, match="images 'one/page1' and 'two/page1' of the table are both like 'page1.jpg'"):
        match(["one/page1", "two/page1"], PICTURES, Path("stimuli"))
    assert len(match(["page1.jpg", "PAGE1.jpg"], PICTURES, Path("stimuli"))) == 2
