"""What TensorBoard reads of a run, read back from the event file."""

from __future__ import annotations

import io

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from entreg.runs.folder import RunFolder
from entreg.training import trainer

HISTORY = [{"epoch": 1, "lr": 0.1, "validation_nll_nats": 9.5}, {"epoch": 2, "lr": 0.01, "validation_nll_nats": 9.25}]
STEPS = [
    {"step": 0, "epoch": 1, "nll_nats": 9.0, "bias_entropy_nats": None},
    {"step": 1, "epoch": 1, "nll_nats": 8.5, "bias_entropy_nats": 7.5},
]


def read(folder):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0, "tensors": 0})
    events.Reload()
    return events


def test_rows_are_told_once_and_again_after_another_start(tmp_path, composed):
    pytest.importorskip("tensorboard")
    from entreg.training.tensorboard_log import Board

    config = OmegaConf.to_object(composed("seed=3"))
    for starts in (1, 2):
        board = Board(tmp_path / "board", config)
        board.tell(HISTORY[: starts - 1], STEPS[: starts - 1])
        board.tell(HISTORY, STEPS)
        board.tell(HISTORY, STEPS)
        Image.new("RGB", (6, 4), (255, 0, 128)).save(tmp_path / "map.png")
        board.finish({"bias_map": tmp_path / "map.png"})
    assert len(list((tmp_path / "board").iterdir())) == 1
    events = read(tmp_path / "board")
    assert sorted(events.Tags()["scalars"]) == [
        "epoch/lr",
        "epoch/validation_nll_nats",
        "step/bias_entropy_nats",
        "step/nll_nats",
    ]
    values = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert values["epoch/validation_nll_nats"] == [(1, 9.5), (2, 9.25)]
    assert values["step/nll_nats"] == [(0, 9.0), (1, 8.5)] and values["step/bias_entropy_nats"] == [(1, 7.5)]
    (picture,) = events.Images("bias_map")
    shown = np.array(Image.open(io.BytesIO(picture.encoded_image_string)))
    assert picture.step == 2 and shown.shape == (4, 6, 3) and (shown == (255, 0, 128)).all()
    (text,) = events.Tensors("settings/text_summary")
    assert b"\n    seed: 3\n" in text.tensor_proto.string_val[0]


@pytest.mark.painted
def test_a_training_leaves_its_tables_and_pictures_there(composed, store, tmp_path):
    pytest.importorskip("tensorboard")
    from entreg.config.settings import resolved
    from entreg.distributed.ranks import Ranks
    from entreg.study.study import Study
    from entreg.study.study_cache import StudyCache
    from entreg.training.training_group import TrainingGroup
    from tests.conftest import SMALL

    words = *SMALL, f"paths.store={store}", "hardware=cpu", "trainer.epochs=2", "logger=tensorboard", "seed=7"
    folder = RunFolder(tmp_path / "run")
    training = trainer.Trainer(Study(resolved(composed(*words)), StudyCache(Ranks())), folder)
    for trained, bias_map in TrainingGroup([training]).run():
        trained.finish(bias_map)
    events = read(folder.board)
    for key in ("validation_ig_bits_per_fixation", "bias_entropy_nats", "lr"):
        expected = [(row["epoch"], pytest.approx(row[key], rel=1e-6)) for row in training.history]
        assert [(event.step, event.value) for event in events.Scalars(f"epoch/{key}")] == expected
    assert [event.step for event in events.Scalars("step/nll_nats")] == [row["step"] for row in training.steps]
    assert sorted(events.Tags()["images"]) == ["bias_map", "predictions"]
    assert b"seed: 7" in events.Tensors("settings/text_summary")[0].tensor_proto.string_val[0]
