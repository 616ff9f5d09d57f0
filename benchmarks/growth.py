"""Memory and time of a training against its images and epochs."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.fresh import in_a_fresh_process
from benchmarks.generated import DISTINCT, LANDSCAPE, recipe, settings, study
from entreg.run.folder import RunFolder
from entreg.train.company import Company
from entreg.train.trainer import Trainer

SIZES = (100, 300, 1000, 3000)
EPOCHS = 4


def measure(folder: Path) -> dict:
    """Anonymous memory (GB) and seconds an epoch of trainings of growing size, each in a process of its own.

    Sizes whose store does not fit on the disk are left out.
    """
    row, found = recipe().row_bytes(LANDSCAPE), []
    for images in SIZES:
        needed = (images + 2 * DISTINCT) * row * 1.1
        if shutil.disk_usage(folder).free < needed:
            print(f"growth: {images} images left out, their store needs {needed / 1e9:.0f} GB of disk")
            continue
        with tempfile.TemporaryDirectory(dir=folder) as place:
            found.append(in_a_fresh_process(_train, Path(place), images, EPOCHS))
        print(f"growth: {images} images, {found[-1]['rss_anon_gb']:.2f} GB, {found[-1]['epoch_s'][-1]:.1f} s an epoch")
    return {"train_rss_gb": max(one["rss_anon_gb"] for one in found), "growth": found}


def beyond_memory(folder: Path) -> dict:
    """Memory (GB) and time of a training whose store is a quarter larger than this machine's memory: read from disk."""
    row, memory = recipe().row_bytes(LANDSCAPE), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    images = int(1.25 * memory / row)
    if shutil.disk_usage(folder).free < 1.1 * images * row:
        raise SystemExit(f"{folder}: {1.1 * images * row / 1e9:.0f} GB of disk are needed (TMPDIR=FOLDER)")
    print(f"beyond memory: {images} images, {images * row / 1e9:.1f} GB are written", flush=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        found = _train(Path(place), images, epochs=2)
    return {
        "beyond_memory_store_gb": images * row / 1e9,
        "beyond_memory_rss_gb": found["rss_anon_gb"],
        "beyond_memory_ms_per_image": found["epoch_s"][-1] / images * 1e3,
    }


def plot(growth: list[dict], path: Path) -> None:
    """Seconds an epoch against images, and seconds against epochs for each size."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    images = [one["images"] for one in growth]
    # the first epoch also tests every row's checksum
    seconds = [min(one["epoch_s"][1:]) for one in growth]
    left.plot(images, seconds, "o")
    slope = seconds[-1] / images[-1]
    left.plot([0, images[-1]], [0, slope * images[-1]], "-", color="0.6", zorder=0)
    left.set(xlabel="training images", ylabel="seconds an epoch", title=f"{slope * 1e3:.2f} ms an image and epoch")
    for one in growth:
        total = [sum(one["epoch_s"][:k]) for k in range(EPOCHS + 1)]
        right.plot(range(EPOCHS + 1), total, "o-", label=f"{one['images']} images")
    right.set(xlabel="epochs", ylabel="seconds", xticks=range(EPOCHS + 1))
    right.legend()
    figure.savefig(path, dpi=150)


def rss_anon_gb(process: int | str = "self") -> float:
    """Anonymous resident memory of a process: what it holds beyond the page cache. 0 where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024 / 1e9


def _train(folder: Path, images: int, epochs: int) -> dict:
    trainer = Trainer(study(folder / "store", images, settings(epochs=epochs)), RunFolder(folder))
    highest, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            highest.append(max(highest.pop(), rss_anon_gb()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in Company([trainer]).run():
        pass
    done.set()
    watcher.join()
    return {"images": images, "rss_anon_gb": highest[0], "epoch_s": [row["seconds"] for row in trainer.history]}
