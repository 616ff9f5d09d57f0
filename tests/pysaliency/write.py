"""Run by pysaliency's environment: a small data set, written by pysaliency 0.2.22 in all forms that it knows."""

import json
from pathlib import Path

import numpy as np
from pysaliency import FileStimuli, Fixations, FixationTrains, Stimuli

given = json.loads(Path("in.json").read_text())
stimuli = FileStimuli(given["stimuli"], attributes={"category": ["one", "two", "two"]})
stimuli.to_hdf5("stimuli.hdf5")
Stimuli([stimuli.stimuli[n] for n in range(len(stimuli))]).to_hdf5("arrays.hdf5")
xs, ys, ns, subjects = (given[key] for key in ("xs", "ys", "ns", "subjects"))
ts = [[200.0 * (i + 1) for i in range(len(one))] for one in xs]
trains = FixationTrains.from_fixation_trains(
    xs,
    ys,
    ts,
    ns,
    subjects,
    scanpath_fixation_attributes={"durations": ts},
    scanpath_attribute_mapping={"durations": "duration"},
)
trains.to_hdf5("trains.hdf5")
trains[np.arange(len(trains))[::-1]].to_hdf5("fixations.hdf5")
Fixations.create_without_history(trains.x, trains.y, trains.n).to_hdf5("pooled.hdf5")
Path("out.json").write_text("{}")
