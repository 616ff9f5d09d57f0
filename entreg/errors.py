"""Errors that are the user's to mend. Hydra prints them as a message without a traceback and exits with 1."""

from hydra.errors import CompactHydraException


class UserError(CompactHydraException):
    """Something that the user can put right: the message names the file or setting and the way out.

    What it quotes of files and folders may hold anything: characters that a terminal would act on are shown as ?.
    """

    def __init__(self, message: str) -> None:
        super().__init__(_shown(message))


class SettingError(UserError):
    """A setting has a value that it cannot have."""


class DataError(UserError):
    """A data set, image, weights file or store is missing or cannot be read."""


class NonFiniteLoss(UserError):
    """Training stopped since the loss was not finite."""


def brief(what: object) -> str:
    """One line of at most 200 printable characters: of an error, or of what a file holds, to be quoted in a message."""
    words = " ".join(str(what).split()) or type(what).__name__
    shown = _shown(words)
    return shown if len(shown) <= 200 else f"{shown[:199]}…"


def _shown(text: str) -> str:
    return "".join(character if character.isprintable() or character == "\n" else "?" for character in text)
