"""Errors that the user can fix: a message without a traceback, also when they come from another process."""

import inspect
import pickle

import pytest

from entreg import errors

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
KINDS = [kind for kind in CLASSES if issubclass(kind, errors.UserError)]


def test_every_kind_is_a_user_error():
    assert {kind.__name__ for kind in KINDS} == {"UserError", "SettingError", "DataError", "NonFiniteLoss"}
    assert set(CLASSES) - set(KINDS) == {errors.RankFailed}


@pytest.mark.parametrize("kind", CLASSES)
def test_a_rank_can_hand_them_to_its_parent(kind):
    copy = pickle.loads(pickle.dumps(kind("loss is NaN")))
    assert type(copy) is kind and str(copy) == "loss is NaN"


def test_what_a_file_holds_is_quoted_in_one_printable_line():
    assert errors.brief("two\n  lines\tand \0") == r"two lines and \x00"
    assert errors.brief(ValueError()) == "ValueError"
    assert errors.brief("\u202e" + "A" * 300) == r"\u202e" + "A" * 193 + "…"


def test_what_a_terminal_would_act_on_is_not_said():
    """A file's name may hold it: a new colour, text that runs backwards, half of a character."""
    said = str(errors.DataError("data/\x1b[31m\u202e\ud800 is not there\n  way out"))
    assert said == r"data/\x1b[31m\u202e\ud800 is not there" + "\n  way out"
    assert errors.escaped("a\nb\tc\u00a0é") == r"a\nb\tc" + "\u00a0é"
