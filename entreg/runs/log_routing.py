"""The logs of several runs in one process: each line goes to the log of the run that it is about, or to all logs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from entreg.io.log_file import LineFormatter, LogFile
from entreg.runs.folder import RunFolder

_about: ContextVar[RunFolder | None] = ContextVar("about", default=None)


@contextmanager
def about(folder: RunFolder) -> Iterator[None]:
    """Route the lines that are logged within the `with` to the log of this folder's run."""
    token = _about.set(folder)
    try:
        yield
    finally:
        _about.reset(token)


@contextmanager
def logs_of(folders: Sequence[RunFolder], form: str) -> Iterator[None]:
    """Replace the current log files by one for each run. On the terminal each line begins with the run's name.

    form: the format of a line, as `logging` takes it
    """
    root = logging.getLogger()
    before = list(root.handlers)
    terminal = [handler for handler in before if not isinstance(handler, logging.FileHandler)]
    formatters = [handler.formatter for handler in terminal]
    file_handlers: list[logging.Handler] = []
    for folder in folders:
        folder.path.mkdir(parents=True, exist_ok=True)
        log_file = LogFile(str(folder.log))
        log_file.setFormatter(LineFormatter(form))
        log_file.addFilter(_About(folder))
        file_handlers.append(log_file)
    for handler in terminal:
        handler.setFormatter(_Named(form))
    root.handlers = [*terminal, *file_handlers]
    try:
        yield
    finally:
        root.handlers = before
        for handler, formatter in zip(terminal, formatters, strict=True):
            handler.setFormatter(formatter)
        for handler in file_handlers:
            handler.close()


class _About(logging.Filter):
    def __init__(self, folder: RunFolder) -> None:
        super().__init__()
        self._folder = folder

    def filter(self, record: logging.LogRecord) -> bool:
        return _about.get() in (None, self._folder)


class _Named(LineFormatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        folder = _about.get()
        line = super().formatMessage(record)
        return line if folder is None else line.replace(record.message, f"{folder.path.name}: {record.message}", 1)
