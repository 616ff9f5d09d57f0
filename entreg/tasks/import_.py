"""task=import: write what a tracker or a program for experiments recorded as fixations.csv, to be looked at and cited.

Beside it, dataset.yaml says what it was made of, in which frame, and what was left out.
"""

from __future__ import annotations

import logging
from pathlib import Path

from entreg.config import Config
from entreg.data import own_data_set, recording
from entreg.data.sources import folder as own
from entreg.data.tables.presets import forms
from entreg.errors import SettingError
from entreg.runs.folder import RunFolder

log = logging.getLogger(__name__)

OPEN = {  # what points do not show
    "origin": "where x and y are 0 (top_left, bottom_left, centre)",
    "of": "whether they are counted on the image or on the screen",
    "index_base": "whether the first pixel is 0 or 1",
}


def check(config: Config) -> None:
    """Raise a SettingError where nothing is named to be imported, or what x and y are counted in stays open."""
    data = config.data
    if not isinstance(data, own.Settings) or data.root is None or data.file == own_data_set.TABLE:
        raise SettingError(
            "task=import needs a folder with stimuli/, a file and what wrote it: "
            "data=folder data.root=FOLDER data.file=FILE data.table=PRESET"
        )
    for form in forms(data):
        counted = OPEN if form.frame.unit in (None, "px") else {name: OPEN[name] for name in ("origin", "of")}
        unsaid = [
            f"data.frame.{name}: {why}"
            for name, why in counted.items()
            if getattr(form.frame, name) is None and name not in form.in_file
        ]
        if unsaid and not form.refuse:
            raise SettingError("fixations do not show what they are counted in; give\n  " + "\n  ".join(unsaid))


def import_(config: Config, folder: RunFolder) -> int:
    """Write fixations.csv and dataset.yaml into data.root; return the number of fixations.

    Raises a DataError where one of them exists, or the recording cannot be read or holds no fixation on a picture.
    """
    data = config.data
    assert isinstance(data, own.Settings)
    own_data_set.refuse_table(Path(data.root or ""))
    data.require()
    found = recording.read(data, data.pictures, with_times=True)
    count, line = own_data_set.write(data, found)
    for note in found.notes:
        log.warning("%s", note)
    log.info("%s: %s", data.root, line)
    folder.finish()
    return count
