"""The configs of small studies."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from entreg.config.settings import resolved
from tests.conftest import SMALL


@pytest.fixture
def config_of(composed, store):
    """config_of(*words): the config of the smallest study, changed by these words."""
    return lambda *words: resolved(composed(*SMALL, f"paths.store={store}", *words))


@pytest.fixture
def own(composed, store, tmp_path):
    """own(*words): the config of a data set of six portraits, of which the fourth and the last have no fixation."""
    (tmp_path / "stimuli").mkdir()
    for i in range(6):
        Image.fromarray(np.full((64, 48, 3), 40 * i, dtype=np.uint8)).save(tmp_path / f"stimuli/{i}.png")
    lines = ["image,x,y", *(f"{i}.png,{10 * k},5" for i in (0, 1, 2, 4) for k in range(3))]
    (tmp_path / "fixations.csv").write_text("\n".join(lines))
    place = f"data.root={tmp_path}", f"paths.store={store}"
    size = "data.long_side_px=64", "data.short_side_px=48"
    return lambda *words: resolved(composed("data=folder", "data.folds=2", "ood=[]", *place, *size, *words))
