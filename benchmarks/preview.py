"""The time of a preview of a thousand images."""

from __future__ import annotations

from pathlib import Path

from benchmarks import generated
from benchmarks.commands import Checkout

IMAGES = 1000
HERE = Path(__file__).parents[1]


def measure(folder: Path) -> dict[str, float]:
    """Return the seconds of task=preview on IMAGES photos of 1024x768, each with 104 fixations."""
    generated.data_set(folder / "mine", IMAGES, seed=0)
    checkout = Checkout(HERE, folder / "previewed")
    words = ("task=preview", "data=folder", f"data.root={folder / 'mine'}", "data.name=mine", "ood=[]")
    return {"preview_s": checkout.run(*words, "paths.store=store")}
