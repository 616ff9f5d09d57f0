"""A training on data in memory, and its evaluation, for which the same data can be given again."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

import entreg
from entreg import MemoryData
from entreg.errors import DataError, SettingError
from tests.library.conftest import ONE_THREAD, SMALL


def drawn(name: str, images: int) -> MemoryData:
    """Images of noise, with fixations all over each."""
    generator = np.random.default_rng(images)
    pictures = [generator.integers(0, 256, (64, 96, 3), dtype=np.uint8) for _ in range(images)]
    image = np.repeat(np.arange(images), 20)
    x, y = (generator.uniform(0.1 * side, 0.9 * side, 20 * images) for side in (96, 64))
    return MemoryData(name, pictures, image, x, y)


def test_data_in_memory_are_trained_on_and_asked_for_where_they_are_gone(tmp_path, monkeypatch):
    data, other = drawn("mine", 5), drawn("lab", 4)
    own = [word for word in SMALL if "images" not in word and not word.startswith("ood")]
    sizes = [f"ood.lab.{side}" for side in ("long_side_px=96", "short_side_px=64")]
    place = f"paths.store={tmp_path / 'store'}"
    words = [*own, *sizes, "uniform.images=1", "model.backbone.weights=null", place]
    run = entreg.train(words, folder=tmp_path / "run", data=data, foreign={"lab": other})
    assert run.config.data.name == "mine" and Path(run.config.data.root).name == data.digest
    judge = [*ONE_THREAD, place]
    shown = entreg.evaluate(run, judge, folder=tmp_path / "judged").results
    assert {name: of.n_fixations for name, of in shown.data.items()} == {"in_domain": 20, "ood.lab": 80}

    shutil.rmtree(tmp_path / "store/memory")
    with pytest.raises(
        DataError, match=r"mine was given in memory, .*\n +give it again +entreg.train\(..., data=DATA\)"
    ):
        entreg.evaluate(run, judge, folder=tmp_path / "gone")
    changed = dataclasses.replace(other, x=other.x + 0.5)
    with pytest.raises(SettingError, match="not trained with the data set lab as it is given"):
        entreg.evaluate(run, judge, folder=tmp_path / "changed", data=[data, changed])
    again = entreg.evaluate(run, judge, folder=tmp_path / "again", data=[data, other]).results
    assert again.arms == shown.arms


def test_names_of_foreign_sets_are_words():
    with pytest.raises(SettingError, match="foreign='a b': the name of a foreign set consists of letters"):
        entreg.train([], data=None, foreign={"a b": drawn("lab", 2)})
