"""A whole study at MIT1003's size, as a user starts it: both arms together, their evaluation, and another run."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.generated import data_set
from benchmarks.growth import rss_anon_gb

ROOT = Path(__file__).parents[1]


def measure(
    folder: Path,
    images: int = 1003,
    ood_images: int = 50,
    epochs: int = 25,
    root: Path = ROOT,
    words: Sequence[str] = (),
) -> dict[str, float]:
    """Return the minutes of a study with both arms, and of another run on the same data.

    root: of the checkout that is measured; words: more settings
    """
    print(f"study: {images} + {ood_images} images are generated")
    data_set(folder / "data", images, seed=0)
    data_set(folder / "ood", ood_images, seed=100_000)
    common = (
        "data=folder",
        "model.backbone.weights=null",
        f"data.root={folder / 'data'}",
        "ood=[]",
        "+data@ood.other=folder",
        f"ood.other.root={folder / 'ood'}",
        "ood.other.name=other",
        f"paths.store={folder / 'store'}",
        "hardware=cpu",
        *words,
    )
    length = f"trainer.epochs={epochs}"
    training, rss = _timed(
        root, folder, "-m", *common, length, "loss=nll,nll_entropy", "hydra/launcher=together", "study=bench"
    )
    evaluation, _ = _timed(root, folder, "task=evaluate", *common, "runs=multirun/bench")
    stores = sorted((folder / "store/features").iterdir())
    following, _ = _timed(root, folder, *common, length, "loss=nll_entropy", "loss.lambda_entropy=0.3", "study=next")
    if sorted((folder / "store/features").iterdir()) != stores:
        raise SystemExit("the last run has built its own features")
    # both arms take their steps together, so the seconds of one are those of both
    epochs_min = _seconds(folder / "multirun/bench/0/metrics.csv") / 60
    return {
        "study_minutes": training + evaluation,
        "study_epochs_minutes": epochs_min,
        "study_store_and_start_minutes": training - epochs_min,
        "study_beyond_store_percent": 100 * (epochs_min + evaluation) / (training + evaluation),
        "study_evaluation_minutes": evaluation,
        "study_rss_anon_gb": rss,
        "next_run_minutes": following,
    }


def _timed(root: Path, folder: Path, *words: str) -> tuple[float, float]:
    """Return the minutes and the greatest anonymous memory (GB) of a checkout's train.py with these words."""
    print("study: python train.py", *words)
    environment = os.environ | {"PYTHONPATH": str(root)}
    started, rss = time.perf_counter(), 0.0
    with subprocess.Popen((sys.executable, str(root / "train.py"), *words), cwd=folder, env=environment) as process:
        while process.poll() is None:
            rss = max(rss, rss_anon_gb(process.pid))
            time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"train.py ended with {process.returncode}")
    return (time.perf_counter() - started) / 60, rss


def _seconds(path: Path) -> float:
    with path.open(newline="") as file:
        return sum(float(row["seconds"]) for row in csv.DictReader(file))
