"""An experiment framework for saliency models that are trained not to have a spatial bias of their own.

The packages in order. Each imports those below it and none above it; training, evaluation and prediction stand side by
side and do not know each other (`tests/test_architecture.py` holds that).

library      what `import entreg` offers: compose, train, evaluate, predict, read_results
cli          from what is typed to the jobs that run; it alone knows Hydra, but for runs/sweep_words.py
tasks        what task=NAME does, each in a module of that name: train, evaluate, preview, predict, prepare
training     the training loop, groups of runs that are trained together, the schedule
evaluation   scores, uncertainty, what a difference is made of
prediction   a finished run's density for any image, in Python and as files
report       tables, figures and the page: they print typed results and decide nothing
results      the typed results.json
study        the prepared inputs of a run; finished runs, read
losses       what a training minimises: one module for each loss
model        DeepGaze III at the features' resolution, its log density; the plain reference
features     the frozen backbone, run once for each image into a memory-mapped store
priors       where people look before an image is seen: KDE, Gaussian, centre bias, gold standard
data         stimuli and fixations of a data set, brought to one size; data/sources: where they come from
runs         the folder of a run, its checkpoints, records and provenance; what it may call of other packages
slurm        what SLURM says of jobs, limits and refusals, by its own commands
distributed  ranks, their launch, signals, devices, threads and memory of a job
config       every setting: its default, meaning, unit and range, and what another value of it affects
io           files written whole, leases, archives, downloads, HDF5, tensors

Beside them: interop (a run as a pysaliency model), progress, command_line, units, version, errors. Tasks, losses and
data sources are known by the names of their modules: what is typed and saved names them so, and chooses nothing else.
"""

from __future__ import annotations

import importlib
import os
import typing

# Threads that wait for the others of a product spin before they sleep, in GNU's OpenMP (PyTorch's on Linux) so long
# that on a machine that does other things they hold the cores that those others need: a training falls to a quarter.
# A fifteenth of that is as fast alone, and beside others nearly as fast as not to spin at all (benchmarks/shared.py).
# The library reads it when PyTorch is imported, and started ranks inherit it.
if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
    os.environ["GOMP_SPINCOUNT"] = "20000"

if typing.TYPE_CHECKING:
    from entreg.data.memory_data import MemoryData
    from entreg.library.compose import Composed, compose
    from entreg.library.evaluate import evaluate
    from entreg.library.predict import Predictions, predict
    from entreg.library.read_results import EvaluatedFolder, read_results
    from entreg.library.train import Epoch, TrainedRun, train
    from entreg.prediction.trained_model import TrainedModel, load

__all__ = [
    "Composed",
    "Epoch",
    "EvaluatedFolder",
    "MemoryData",
    "Predictions",
    "TrainedModel",
    "TrainedRun",
    "compose",
    "evaluate",
    "load",
    "predict",
    "read_results",
    "train",
]

# where each of them stands; it is imported when it is first used, since PyTorch and Hydra take seconds
_MODULES = {
    "Composed": "library.compose",
    "Epoch": "library.train",
    "EvaluatedFolder": "library.read_results",
    "MemoryData": "data.memory_data",
    "Predictions": "library.predict",
    "TrainedModel": "prediction.trained_model",
    "TrainedRun": "library.train",
    "compose": "library.compose",
    "evaluate": "library.evaluate",
    "load": "prediction.trained_model",
    "predict": "library.predict",
    "read_results": "library.read_results",
    "train": "library.train",
}


def __getattr__(name: str) -> typing.Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'entreg' has no attribute {name!r}")
    return getattr(importlib.import_module(f"entreg.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
