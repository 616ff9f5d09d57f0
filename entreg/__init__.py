"""entreg: does a saliency model generalise better when it is trained not to have a spatial bias of its own?

Each room hands on to the next, and none reaches back:

    conf -> data -> features -> study -> train    -> report
            prior ----^          ^      evaluate -^
                        model ---'      predict -^

tasks     what task=NAME does, each in a module of that name: train, evaluate, predict, prepare
data      stimuli and fixations of one data set, brought to one size; data/sources: where they come from
prior     where people look before an image is seen: KDE, Gaussian, centre bias, gold standard
features  the frozen backbone, run once for each image into a memory-mapped store
model     DeepGaze III's readout at native resolution, its finalizer, the log density on a grid; the plain reference
study     what a run works on: data, features and priors, ready to be read in batches
losses    what is minimised: the NLL of human fixations, and what each loss adds to it
train     the training loop, its schedule and pictures
evaluate  scores, uncertainty, what a difference is made of, results.json
predict   a finished run's density for any image, in Python and as files
report    tables, panels and one page: they print what they are given and decide nothing
fetch     published files from the network: downloaded, checked, unpacked

Below everything: run (how a job is run, wherever it runs: folder, launch, hardware, checkpoint, jobs), ranks (what a
process is among others), numerics, progress, files, arrays, config, settings, errors. Train, evaluate and predict stand
side by side and do not know each other; tasks knows all three, and only `run.jobs` stands above it. Tasks, losses and
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

    from entreg.predict.trained import Trained

__all__ = ["load"]


def load(
    run: str | Path,
    *,
    device: str | torch.device | None = None,
    weights: str | Path | None = None,
    trust: bool = False,
) -> Trained:
    """The finished training in the folder `run`, ready to predict where people look in any image.

        import entreg
        import matplotlib.pyplot as plt

        model = entreg.load("outputs/mine")
        plt.imshow(model.log_density("photo.jpg"))
        plt.savefig("density.png")

    `model.log_density(image)` is (H, W) in nats at the image's own size; see `entreg.predict.trained.Trained`.

    device: `cpu`, `cuda`, `cuda:1`; None: a GPU where PyTorch sees one
    weights: where the backbone's weights are no longer where they were: their file, or the folder that it lies in
    trust: whether a file that you have not written is read also with a PyTorch below 2.10, in which it could run code
    UserError: there is no finished training, it was trained on crops, or what it needs is missing or was replaced.
    """
    from entreg.predict import trained  # PyTorch and all else are loaded by those who use them

    return trained.load(run, device=device, weights=weights, trust=trust)
