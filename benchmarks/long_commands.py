"""What takes minutes, once in each of two checkouts: an evaluation with the ladder, a gold standard, whole studies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks import generated, study
from benchmarks.commands import RUNS, TINY, Checkout

HERE = Path(__file__).parents[1]
FOREIGN_IMAGES = 50
GOLD = """
import time
import numpy as np
try:
    from entreg.priors.gold import gold_standard
except ImportError:  # the earlier commit
    from entreg.prior.gold import gold_standard
images, each = {images}, {each}
rng = np.random.default_rng(0)
image, subject = np.repeat(np.arange(images), each), np.tile(np.arange(each) % 50, images)
y, x = rng.integers(768, size=image.size), rng.integers(1024, size=image.size)
started = time.perf_counter()
gold_standard(y, x, image, subject, np.tile([768, 1024], (images, 1)), np.full(image.size, -np.log(768 * 1024)))
print(time.perf_counter() - started)
"""


def measure(earlier: Path, folder: Path) -> dict[str, float]:
    """Return this checkout's shares of an earlier one's times, and of its memory in a study."""
    found = evaluation(earlier, folder) | gold(earlier)
    theirs, ours, rounded = (
        study.measure(folder / name, root=root, words=words)
        for name, root, words in (
            ("study_there", earlier, ()),
            ("study", HERE, ()),
            ("study_bfloat16", HERE, ("model.backbone.precision=bfloat16",)),
        )
    )
    return found | {
        "against_study": ours["study_minutes"] / theirs["study_minutes"],
        "against_study_bfloat16": rounded["study_minutes"] / theirs["study_minutes"],
        "against_study_memory": ours["study_rss_anon_gb"] / theirs["study_rss_anon_gb"],
    }


def evaluation(earlier: Path, folder: Path, runs: int = RUNS, foreign_images: int = FOREIGN_IMAGES) -> dict[str, float]:
    """Return the share, and the seconds, of judging so many runs on a foreign set whose features are there."""
    generated.data_set(folder / "foreign", foreign_images, seed=1)
    words = (
        *("task=evaluate", "runs=multirun/many", "hardware=cpu", "paths.store=store"),
        *("ood=[]", "+data@ood.other=folder", f"ood.other.root={folder / 'foreign'}", "ood.other.name=other"),
    )
    seconds = {}
    for who, root in (("theirs", earlier), ("ours", HERE)):
        checkout = Checkout(root, folder / who)
        sweep = f"seed=range({runs})", "hydra/launcher=together", "study=many"
        checkout.run("-m", *TINY, "trainer.epochs=1", *sweep)
        for _ in ("features", "evaluation"):
            seconds[who] = checkout.run(*words)
        print(f"evaluation of {runs} runs: {seconds[who]:.0f} s, {who}", flush=True)
    return {"against_evaluation": seconds["ours"] / seconds["theirs"], "against_evaluation_s": seconds["ours"]}


def gold(earlier: Path, images: int = 1000, each: int = 1000) -> dict[str, float]:
    """Return the share, and the seconds, of a gold standard of images with so many fixations each."""
    seconds = []
    for root in (HERE, earlier):
        command = [sys.executable, "-c", GOLD.format(images=images, each=each)]
        environment = os.environ | {"PYTHONPATH": str(root)}
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
        seconds.append(float(done.stdout))
        print(f"gold standard: {seconds[-1]:.0f} s in {root}", flush=True)
    return {"against_gold": seconds[0] / seconds[1], "against_gold_s": seconds[0]}
