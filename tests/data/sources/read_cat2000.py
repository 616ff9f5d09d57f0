"""Run where mat-io is installed: writes the set of test_cat2000_observers.py to a .mat and loads it."""

import json
from pathlib import Path

from matio import save_to_mat
from matio.utils.matclass import MatlabContainerMap

from entreg.data.sources.cat2000_observers import Settings, load
from tests.data.sources.test_cat2000_observers import STORED, cell

save_to_mat("trainSet/allFixData.mat", {"allData": MatlabContainerMap({key: cell(STORED[key]) for key in STORED})})
data = load(Settings(name="c", root="."))
Path("out.json").write_text(
    json.dumps(
        {
            "stimuli": [stimulus.name for stimulus in data.stimuli],
            "dropped": data.dropped,
            "fixations": [getattr(data.fixations, key).tolist() for key in ("image", "x", "y", "subject")],
        }
    )
)
