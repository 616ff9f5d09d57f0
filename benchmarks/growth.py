"""Memory and time of a training as functions of its images and epochs."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.fresh import in_a_fresh_process
from benchmarks.generated import DISTINCT, LANDSCAPE, recipe, settings, study
from entreg.runs.folder import RunFolder
from entreg.training.trainer import Trainer
from entreg.training.training_group import TrainingGroup

SIZES = (100, 300, 1000, 3000)
EPOCHS = 4


def measure(folder: Path) -> dict[str, Any]:
    """Return anonymous memory (GB) and seconds per epoch of trainings of growing size, each in a new process.

    Sizes whose store does not fit on the disk are left out.
    """
    row: int = recipe().row_bytes(LANDSCAPE)
    trainings = []
    for images in SIZES:
        needed = (images + 2 * DISTINCT) * row * 1.1
        if shutil.disk_usage(folder).free < needed:
            print(f"growth: {images} images are left out, because their store needs {needed / 1e9:.0f} GB of disk")
            continue
        with tempfile.TemporaryDirectory(dir=folder) as place:
            training = in_a_fresh_process(_train, Path(place), images, EPOCHS)
        trainings.append(training)
        print(f"growth: {images} images, {training['rss_anon_gb']:.2f} GB, {training['epoch_s'][-1]:.1f} s per epoch")
    return {"train_rss_gb": max(training["rss_anon_gb"] for training in trainings), "growth": trainings}


def beyond_memory(folder: Path) -> dict[str, Any]:
    """Return memory (GB) and time of a training whose store is a quarter larger than this machine's memory."""
    row, memory = recipe().row_bytes(LANDSCAPE), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    images = int(1.25 * memory / row)
    if shutil.disk_usage(folder).free < 1.1 * images * row:
        raise SystemExit(f"{folder}: {1.1 * images * row / 1e9:.0f} GB of disk are needed (TMPDIR=FOLDER)")
    print(f"beyond memory: {images} images, {images * row / 1e9:.1f} GB are written", flush=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        training = _train(Path(place), images, epochs=2)
    return {
        "beyond_memory_store_gb": images * row / 1e9,
        "beyond_memory_rss_gb": training["rss_anon_gb"],
        "beyond_memory_ms_per_image": training["epoch_s"][-1] / images * 1e3,
    }


def plot(growth: list[dict[str, Any]], path: Path) -> None:
    """Plot seconds per epoch against images, and seconds against epochs for each size."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    images = [training["images"] for training in growth]
    # the first epoch also tests every row's checksum
    seconds = [min(training["epoch_s"][1:]) for training in growth]
    left.plot(images, seconds, "o")
    slope = seconds[-1] / images[-1]
    left.plot([0, images[-1]], [0, slope * images[-1]], "-", color="0.6", zorder=0)
    left.set(xlabel="training images", ylabel="seconds per epoch", title=f"{slope * 1e3:.2f} ms per image and epoch")
    for training in growth:
        total = [sum(training["epoch_s"][:k]) for k in range(EPOCHS + 1)]
        right.plot(range(EPOCHS + 1), total, "o-", label=f"{training['images']} images")
    right.set(xlabel="epochs", ylabel="seconds", xticks=range(EPOCHS + 1))
    right.legend()
    figure.savefig(path, dpi=150)


def rss_anon_gb(process: int | str = "self") -> float:
    """Return the anonymous resident memory (GB) of a process, without the page cache; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024 / 1e9


def _train(folder: Path, images: int, epochs: int) -> dict[str, Any]:
    trainer = Trainer(study(folder / "store", images, settings(epochs=epochs)), RunFolder(folder))
    highest, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            highest.append(max(highest.pop(), rss_anon_gb()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in TrainingGroup([trainer]).run():
        pass
    done.set()
    watcher.join()
    return {"images": images, "rss_anon_gb": highest[0], "epoch_s": [row["seconds"] for row in trainer.history]}
