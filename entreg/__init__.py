"""An experiment framework for saliency models that are trained not to have a spatial bias of their own.

The packages in order. Each imports those below it and none above it; training, evaluation and prediction stand side by
side and do not know each other (`tests/test_architecture.py` holds that).

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
runs         the folder of a run, its checkpoints, records and provenance; what earlier versions saved
slurm        what SLURM says of jobs, limits and refusals, by its own commands
distributed  ranks, their launch, signals, devices, threads and memory of a job
config       every setting: its default, meaning, unit and range, and what another value of it affects
io           files written whole, leases, archives, downloads, HDF5, tensors

Beside them: interop (a run as a pysaliency model), progress, command_line, units, version, errors. Tasks, losses and
data sources are known by the names of their modules: what is typed and saved names them so, and chooses nothing else.
"""

from __future__ import annotations

import os
import typing

# Threads that wait for the others of a product spin before they sleep, in GNU's OpenMP (PyTorch's on Linux) so long
# that on a machine that does other things they hold the cores that those others need: a training falls to a quarter.
# A fifteenth of that is as fast alone, and beside others nearly as fast as not to spin at all (benchmarks/shared.py).
# The library reads it when PyTorch is imported, and started ranks inherit it.
if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
    os.environ["GOMP_SPINCOUNT"] = "20000"

if typing.TYPE_CHECKING:
    from pathlib import Path

    import torch

    from entreg.prediction.trained_model import TrainedModel

__all__ = ["load"]


def load(
    run: str | Path,
    *,
    device: str | torch.device | None = None,
    weights: str | Path | None = None,
) -> TrainedModel:
    """Return the finished training in the folder `run`, ready to predict where people look in any image.

        import entreg
        import matplotlib.pyplot as plt

        model = entreg.load("outputs/mine")
        plt.imshow(model.log_density("photo.jpg"))
        plt.savefig("density.png")

    `model.log_density(image)` is (H, W) in nats at the image's own size; see `prediction.trained_model.TrainedModel`.

    Raises a UserError where there is no finished training, where it was trained on crops, or where files that it needs
    are missing or were replaced.

    device: such as `cpu`, `cuda` or `cuda:1`; None: a GPU where PyTorch sees one
    weights: the file of the backbone's weights, or its folder, where the file has been moved since the training
    """
    from entreg.prediction import trained_model  # late, since it imports PyTorch

    return trained_model.load(run, device=device, weights=weights)
