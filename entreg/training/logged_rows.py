"""What a logger that keeps its own record was told in earlier starts, so that the next start goes on from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from entreg.io import files
from entreg.runs.folder import RunFolder

AXES = ("epoch", "step")


class LoggedRows:
    """A logger's own run of this training, and how many rows of each table it was told.

    run: the id of the logger's run; None before it has one
    """

    def __init__(self, folder: RunFolder, logger: str) -> None:
        self._path, self._logger = folder.loggers, logger
        known = self._read().get(logger, {})
        self.run: str | None = known.get("run")
        self._counts = {axis: known.get(axis, 0) for axis in AXES}

    def new(self, history: Sequence[Mapping[str, Any]], steps: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
        """Return the figures of each row that was not told yet: `epoch` or `step`, then `epoch/KEY` or `step/KEY`."""
        rows = []
        for axis, table in zip(AXES, (history, steps), strict=True):
            for row in table[self._counts[axis] :]:
                figures = {key: value for key, value in row.items() if key not in AXES and value is not None}
                rows.append({axis: row[axis]} | {f"{axis}/{key}": value for key, value in figures.items()})
        return rows

    def remember(self, run: str, history: Sequence[Any], steps: Sequence[Any]) -> None:
        """Record that the rows were told to this run of the logger."""
        self.run = run
        for axis, table in zip(AXES, (history, steps), strict=True):
            # a training that goes on from an earlier checkpoint comes to the same rows once more
            self._counts[axis] = max(self._counts[axis], len(table))
        files.write_json(self._path, self._read() | {self._logger: {"run": run} | self._counts})

    def _read(self) -> dict[str, Any]:
        return dict(files.read_json(self._path)) if self._path.is_file() else {}
