import pytest

from entreg.data.tables.shown_pictures import Shown


@pytest.mark.parametrize(
    "start, end, picture",
    [
        (5, 9, (None, "-1", 5)),
        (5, 12, ("a", "0", -5)),
        (10, 12, ("a", "0", 0)),
        (15, 35, ("b", "1", -15)),
        (35, 50, ("b", "1", 5)),
        (45, 50, (None, "2", 5)),
    ],
)
def test_a_fixation_is_on_the_picture_on_which_it_starts_or_that_appears_before_it_ends(start, end, picture):
    assert Shown([(40, None), (10, "a"), (30, "b")]).of(start, end) == picture
