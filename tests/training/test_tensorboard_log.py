"""What TensorBoard reads of a run, read back from the event file."""

from __future__ import annotations

import errno
import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from entreg.errors import SettingError
from entreg.runs.folder import RunFolder
from entreg.tasks import train as task
from entreg.training import tensorboard_log, trainer
from entreg.training.tensorboard_log import Board

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


def test_rows_are_told_once_and_again_after_another_start(tmp_path):
    pytest.importorskip("tensorboard")
    for starts in (1, 2):
        board = Board(tmp_path / "board", "seed: 3\nloss: {name: nll}\n")
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
    assert b"    seed: 3\n    loss: {name: nll}" in text.tensor_proto.string_val[0]


def test_without_tensorboard_it_is_said_before_anything_is_read(composed, monkeypatch):
    from entreg.config.settings import resolved

    monkeypatch.setattr(tensorboard_log.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match="logger=tensorboard needs TensorBoard, .*\n +install it +pip install"):
        task.check(resolved(composed("logger=tensorboard")))
    task.check(resolved(composed()))


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


def test_tensorboard_is_not_loaded_where_nobody_asks_for_it():
    import subprocess

    code = "import sys; import entreg.tasks.train; assert 'tensorboard' not in sys.modules"
    subprocess.run((sys.executable, "-c", code), check=True)


@pytest.mark.parametrize("fails", ["SummaryWriter", "add_text", "add_scalar", "flush", "add_image", "close"])
def test_a_disk_that_is_full_is_warned_of_once_and_the_training_goes_on(tmp_path, monkeypatch, caplog, fails):
    def call(name):
        if name == fails:
            raise OSError(errno.ENOSPC, "No space left on device")

    def writer(_):
        call("SummaryWriter")
        names = ("add_text", "add_scalar", "flush", "add_image", "close")
        return SimpleNamespace(**{name: lambda *_, name=name, **__: call(name) for name in names})

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=writer))
    Image.new("RGB", (6, 4)).save(tmp_path / "map.png")
    board = Board(tmp_path / "board", "seed: 3")
    for _ in range(2):
        board.tell(HISTORY, STEPS)
    board.finish({"bias_map": tmp_path / "map.png"})
    assert caplog.messages == [
        f"{tmp_path}/board cannot be written: No space left on device; the training goes on "
        "without it, and its tables hold everything"
    ]
