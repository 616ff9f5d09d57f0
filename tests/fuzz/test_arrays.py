"""The npz files that are read back, damaged: what is read is what was written, and all else is one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from entreg.config import Prior
from entreg.prediction import map_files
from entreg.priors import center_bias_file
from entreg.priors.center_bias import CenterBias
from entreg.priors.kde import FixationKde
from tests.fuzz.driver import outcome, tried
from tests.fuzz.mutations import damaged

Drive = Callable[..., None]


def driven(drive: Drive, count: int, path: Path, read: Callable[[], Any]) -> None:
    """`read` on damaged copies of the file, which reads it and compares."""

    def check(content: bytes) -> str:
        path.write_bytes(content)
        return outcome(read, str(path))

    drive(count, damaged(path.read_bytes()), check)


@tried(60, 1000)
def test_a_damaged_centre_bias_of_a_run(tmp_path: Path, drive: Drive, count: int) -> None:
    random, prior = np.random.default_rng(0), Prior()
    y, x, image = random.random(20), random.random(20), np.repeat(np.arange(4), 5)
    kde = FixationKde(y, x, image, prior.kde_bandwidth, prior.kde_regularisation)
    path = tmp_path / "kept.npz"
    center_bias_file.write(path, CenterBias("kde", prior, 4, kde))

    def read() -> None:
        found = center_bias_file.read(path, "kde", 4)
        assert found.prior == prior and found.kde is not None
        assert all(np.array_equal(*pair) for pair in zip(found.kde.fixations, (y, x, image), strict=True))

    driven(drive, count, path, read)


@tried(60, 1000)
def test_a_damaged_map(tmp_path: Path, drive: Drive, count: int) -> None:
    path, values = tmp_path / "a.npz", np.random.default_rng(0).random((30, 40)).astype(np.float32)
    map_files.write(path, values, "of this")

    def read() -> None:
        current = map_files.read_if_current(path, "of this")  # never raises
        assert current is None or np.array_equal(current, values)
        assert np.array_equal(map_files.read(path), values)

    driven(drive, count, path, read)
