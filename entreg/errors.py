"""Errors that the user can fix. The command line prints their messages without a traceback and exits with 1."""

from __future__ import annotations

import unicodedata

UNPRINTABLE = ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp")  # Unicode's categories


class UserError(Exception):
    """An error that the user can fix. Its message names the file or setting and says what to do.

    A message may quote the content of files and the names of folders, so control characters are escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__(escaped(message, keep="\n"))


class SettingError(UserError):
    """A setting has a value that is not allowed."""


class DataError(UserError):
    """A data set, image, weights file or feature store is missing or cannot be read."""


class NonFiniteLoss(UserError):
    """The training stopped because its loss was not finite."""


class RankFailed(Exception):
    """A rank of a run failed. The message holds the rank's number and its traceback.

    Unlike torch's own error, this one can be pickled, so it reaches the client that waits for a submitted job.
    """


def brief(what: object) -> str:
    """Return an error, or a value that was read from a file, as one line of at most 200 printable characters."""
    line = escaped(" ".join(str(what).split()) or type(what).__name__)
    return line if len(line) <= 200 else f"{line[:199]}…"


def escaped(text: str, keep: str = "") -> str:
    r"""Return the text with escapes such as `\x1b` for characters on which a terminal, a table or a page would act.

    These are control characters, marks that turn the direction of text, and halves of characters, as file names may
    hold. keep: those that stay
    """
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode()
        if character not in keep and unicodedata.category(character) in UNPRINTABLE
        else character
        for character in text
    )
