"""Errors that the user can fix. The command line prints their messages without a traceback and exits with 1."""

from __future__ import annotations


class UserError(Exception):
    """An error that the user can fix. Its message names the file or setting and says what to do.

    A message may quote the content of files and the names of folders, so control characters, on which a terminal would
    act, are shown as `?`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(_printable(message))


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
    line = " ".join(str(what).split()) or type(what).__name__
    printable = _printable(line)
    return printable if len(printable) <= 200 else f"{printable[:199]}…"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() or character == "\n" else "?" for character in text)
