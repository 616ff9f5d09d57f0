"""Run by pysaliency's environment: what pysaliency makes of a run, of its predictions, and of fixations on stimuli."""

import json
from pathlib import Path

import h5py
import numpy as np
import pysaliency

from entreg.interop import pysaliency_model

given = json.loads(Path("in.json").read_text())
stimuli = pysaliency.FileStimuli(given["stimuli"])
fixations = pysaliency.Fixations.FixationsWithoutHistory(
    np.array(given["x"]),
    np.array(given["y"]),
    np.zeros(len(given["x"])),
    np.array(given["n"]),
    np.zeros(len(given["x"]), dtype=int),
)


class Prior(pysaliency.Model):
    """Maps that are given, by size."""

    maps = {tuple(values.shape): values for values in (np.load(path) for path in given["priors"])}

    def _log_density(self, stimulus):
        return self.maps[stimulus.shape[:2]]


models = {"interop": pysaliency_model(given["run"], device="cpu"), "hdf5": pysaliency.HDF5Model(stimuli, given["hdf5"])}
pysaliency.export_model_to_hdf5(models["interop"], stimuli, "theirs.hdf5")
with h5py.File("theirs.hdf5") as file:
    keys = []
    file.visititems(lambda key, item: keys.append(key) if isinstance(item, h5py.Dataset) else None)
gains = {name: model.information_gains(stimuli, fixations, Prior()) for name, model in models.items()}
numbers = range(len(stimuli))
found = {
    "keys": sorted(keys),
    "per_image": {name: [float(one[fixations.n == n].mean()) for n in numbers] for name, one in gains.items()},
    "mean": {name: float(model.information_gain(stimuli, fixations, Prior())) for name, model in models.items()},
}
Path("out.json").write_text(json.dumps(found))
