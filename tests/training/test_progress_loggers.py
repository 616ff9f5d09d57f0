"""Several loggers at once, each with settings at a place of its own; none of them can end a training."""

from __future__ import annotations

import importlib.util

import pytest

from entreg.config.settings import resolved
from entreg.errors import SettingError
from entreg.runs.folder import RunFolder
from entreg.tasks import train as task
from entreg.training import progress_loggers
from entreg.training.progress_loggers import Reports, chosen


@pytest.mark.parametrize(
    "words, names",
    [
        ([], []),
        (["logger=csv"], []),
        (["logger=wandb"], ["wandb"]),
        (["logger=[mlflow,tensorboard,wandb]"], ["tensorboard", "wandb", "mlflow"]),
    ],
    ids=str,
)
def test_each_has_a_place_of_its_own(composed, words, names):
    assert chosen(resolved(composed(*words)).loggers) == names


def test_settings_of_one_do_not_touch_another(composed):
    loggers = resolved(composed("logger=[wandb,mlflow]", "loggers.wandb.project=a", "loggers.mlflow.uri=b")).loggers
    assert (loggers.wandb.project, loggers.wandb.mode) == ("a", "offline")
    assert (loggers.mlflow.uri, loggers.mlflow.experiment) == ("b", "entreg")


@pytest.mark.parametrize(
    "name, said",
    [
        ("tensorboard", "logger=tensorboard needs TensorBoard, .*\n +install it +pip install tensorboard\n"),
        ("wandb", "logger=wandb needs Weights & Biases, .*\n +install it +pip install wandb\n"),
        ("mlflow", "logger=mlflow needs MLflow, .*\n +install it +pip install mlflow\n"),
    ],
)
def test_a_package_that_is_missing_is_named_before_anything_is_read(composed, monkeypatch, name, said):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=said):
        task.check(resolved(composed(f"logger={name}")))
    task.check(resolved(composed()))


@pytest.mark.parametrize("fails", ["begin", "tell", "finish"])
def test_one_that_fails_is_warned_of_once_and_the_others_go_on(composed, tmp_path, monkeypatch, caplog, fails):
    told = []

    class Logger:
        def __init__(self, name):
            self.name = name
            self.work("begin")

        def work(self, what):
            if self.name == "wandb" and what == fails:
                raise OSError(28, "No space left on device")
            told.append((self.name, what))

        def tell(self, history, steps):
            self.work("tell")

        def finish(self, pictures):
            self.work("finish")

    monkeypatch.setattr(progress_loggers, "_begun", lambda name, config, folder: Logger(name))
    reports = Reports(resolved(composed("logger=[wandb,mlflow]")), RunFolder(tmp_path))
    for _ in range(2):
        reports.tell([], [])
    reports.finish({})
    assert [what for name, what in told if name == "mlflow"] == ["begin", "tell", "tell", "finish"]
    assert caplog.messages == [
        "logger=wandb: [Errno 28] No space left on device; the training goes on without it, "
        "and its tables hold everything"
    ]
