"""train.log. A disk that is full costs lines of it and not the run, and that is said in one line."""

from __future__ import annotations

import logging
import sys


class LogFile(logging.FileHandler):
    """Appends to a file that is opened with the first line, so that ranks that write nothing create nothing.

    Where it cannot be written the first failure is named on stderr. What a run cannot do without ends it by itself.
    """

    def __init__(self, filename: str) -> None:
        super().__init__(filename, encoding="utf-8", delay=True)
        self._is_told = False

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a line."""
        try:
            super().emit(record)
        except OSError as error:  # of opening the file
            self._tell(error)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """What logging calls where a line could not be written."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self._tell(error)
        else:
            super().handleError(record)

    def close(self) -> None:
        """Closes the file; what it still holds is tried once more."""
        try:
            super().close()
        except OSError as error:
            self._tell(error)

    def _tell(self, error: OSError) -> None:
        if not self._is_told:
            self._is_told = True
            print(f"{self.baseFilename}: cannot be written: {error.strerror}; the log is not complete", file=sys.stderr)
