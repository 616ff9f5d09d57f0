"""The log file of a run (train.log). A full disk costs some of its lines and not the run."""

from __future__ import annotations

import logging
import sys

from entreg.errors import escaped


class LineFormatter(logging.Formatter):
    """The format of lines in which control characters, as file names may hold, are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, or the lines of a message that has several."""
        return escaped(super().format(record), keep="\n\t")


class LogFile(logging.FileHandler):
    """A handler that appends to a file and opens it with the first line, so ranks that log nothing create no file.

    The first line that cannot be written is reported on stderr, and the run continues.
    """

    def __init__(self, filename: str) -> None:
        super().__init__(filename, encoding="utf-8", delay=True)
        self._has_warned = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        try:
            super().emit(record)
        except OSError as error:  # the file cannot be opened
            self._warn(error)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Report once, on stderr, that a line could not be written. `logging` calls this method."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self._warn(error)
        else:
            super().handleError(record)

    def close(self) -> None:
        """Close the file, after one more attempt to write the lines that are still buffered."""
        try:
            super().close()
        except OSError as error:
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        if not self._has_warned:
            self._has_warned = True
            print(f"{self.baseFilename}: cannot be written: {error.strerror}; the log is incomplete", file=sys.stderr)
