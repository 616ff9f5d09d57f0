"""The logs of several runs in one process: each line goes to the log of the run that it is about, else to all."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from entreg.run.folder import RunFolder
from entreg.run.logfile import LogFile

_about: ContextVar[RunFolder | None] = ContextVar("about", default=None)


@contextmanager
def about(folder: RunFolder) -> Iterator[None]:
    """What is logged meanwhile is about the run of this folder."""
    token = _about.set(folder)
    try:
        yield
    finally:
        _about.reset(token)


@contextmanager
def logs_of(folders: Sequence[RunFolder], form: str) -> Iterator[None]:
    """Instead of the log files there are, each of the runs has its own. On the terminal the run's name stands first.

    form: of a line, as `logging` formats it
    """
    root = logging.getLogger()
    before = list(root.handlers)
    terminal = [handler for handler in before if not isinstance(handler, logging.FileHandler)]
    formatters = [handler.formatter for handler in terminal]
    own: list[logging.Handler] = []
    for folder in folders:
        folder.path.mkdir(parents=True, exist_ok=True)
        file = LogFile(str(folder.log))
        file.setFormatter(logging.Formatter(form))
        file.addFilter(_About(folder))
        own.append(file)
    for handler in terminal:
        handler.setFormatter(_Named(form))
    root.handlers = [*terminal, *own]
    try:
        yield
    finally:
        root.handlers = before
        for handler, formatter in zip(terminal, formatters, strict=True):
            handler.setFormatter(formatter)
        for handler in own:
            handler.close()


class _About(logging.Filter):
    def __init__(self, folder: RunFolder) -> None:
        super().__init__()
        self._folder = folder

    def filter(self, record: logging.LogRecord) -> bool:
        return _about.get() in (None, self._folder)


class _Named(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's own name
        folder = _about.get()
        line = super().formatMessage(record)
        return line if folder is None else line.replace(record.message, f"{folder.path.name}: {record.message}", 1)
