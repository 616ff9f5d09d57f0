"""The fingerprint of a large data set whose files are in the page cache."""

from __future__ import annotations

import io
import os
from pathlib import Path

from PIL import Image

from benchmarks.speed import by_turns
from entreg.data.image_hashes import KnownHashes
from entreg.data.sources import folder as own
from entreg.distributed.ranks import Ranks
from entreg.study.study_cache import StudyCache

IMAGES, BYTES, FIXATIONS = 20_000, 70_000, 15  # fixations on each


def measure(folder: Path) -> dict[str, float]:
    """Return the seconds that a data set's fingerprint takes an evaluation, and where its images are known already."""
    settings = own.Settings(source="folder", name="large", root=str(_write(folder / "large")))
    read = StudyCache(Ranks())
    read.items(settings)

    def fingerprint(reads_every_byte: bool) -> None:
        cache = StudyCache(Ranks(), KnownHashes(folder / "hashes", reads_every_byte=reads_every_byte))
        cache.made |= read.made
        cache.fingerprint(settings)

    seconds = by_turns(3, every_byte=lambda: fingerprint(True), known=lambda: fingerprint(False))
    return {"fingerprints_s": seconds["every_byte"], "fingerprints_known_s": seconds["known"]}


def _write(root: Path) -> Path:
    """Write a data set of small pictures, each of them followed by bytes of its own, and return its folder."""
    (root / "stimuli").mkdir(parents=True)
    picture = io.BytesIO()
    Image.new("L", (640, 480)).save(picture, "PNG")
    for i in range(IMAGES):
        (root / f"stimuli/{i:05d}.png").write_bytes(picture.getvalue().ljust(BYTES - 8, b"\0") + i.to_bytes(8, "big"))
    os.sync()  # so that nothing is written while it is measured
    places = [(30 + 37 * k % 580, 20 + 53 * k % 440) for k in range(FIXATIONS)]
    rows = (f"{i:05d}.png,{x + i % 20},{y}" for i in range(IMAGES) for x, y in places)
    (root / "fixations.csv").write_text("image,x,y\n" + "\n".join(rows))
    return root
