"""Tails of binomial distributions."""

from entreg.data.plausibility.chance import fewer_than, more_than


def test_rare_is_less_than_one_in_ten_thousand():
    """14 heads in a row are rarer (1/16384), 13 are not (1/8192)."""
    assert more_than(0.5, 14, 14) and not more_than(0.5, 13, 13)
    assert fewer_than(0.5, 0, 14) and not fewer_than(0.5, 0, 13)


def test_another_rarity_can_be_asked_for():
    assert more_than(0.5, 7, 7, 0.01) and not more_than(0.5, 6, 6, 0.01)


def test_what_always_or_never_happens_is_no_surprise():
    assert not more_than(1.0, 5, 5) and not more_than(0.1, 0, 100) and not fewer_than(0.1, 100, 100)
