"""Read what an evaluation showed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from entreg.errors import UserError
from entreg.results import reading
from entreg.results.schema import Results
from entreg.runs.folder import RunFolder, SweepFolder

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class EvaluatedFolder:
    """An evaluation: its folder, and its results, typed as `entreg/results/schema.py` declares them."""

    folder: Path
    results: Results

    @property
    def report(self) -> Path:
        """The page: one file that a browser opens."""
        return RunFolder(self.folder).report

    def to_pandas(self) -> pd.DataFrame:
        """Return a row for each arm, domain and metric, with its interval and its difference to the baseline.

        See `entreg.results.frame.of` for the columns.
        """
        from entreg.results import frame  # late, since pandas takes a third of a second to import

        return frame.of(self.results)

    def per_image(self) -> pd.DataFrame:
        """Return a row for each image of each run, as per_image.csv holds them."""
        import pandas as pd

        return pd.read_csv(RunFolder(self.folder).per_image)


def read_results(folder: str | Path) -> EvaluatedFolder:
    """Return what an evaluation showed, from its folder or from that of a sweep that holds it.

    Raises a UserError where there is no results.json, or another version wrote it, and a DataError where it is damaged.
    """
    path = Path(folder).expanduser()
    for place in (RunFolder(path), SweepFolder(path).evaluation):
        if place.results.is_file():
            return EvaluatedFolder(place.path, reading.read(place.results))
    raise UserError(
        f"{path}: there are no results of an evaluation (seen from {Path.cwd()}); entreg.evaluate makes them"
    )
