"""A training from its first epoch to its figures, one that was finished before, and one that another version began."""

from __future__ import annotations

import json

import pytest

from entreg.config import Config
from entreg.config.settings import resolved
from entreg.distributed.ranks import Ranks
from entreg.errors import SettingError
from entreg.runs import checkpoint
from entreg.runs.folder import RunFolder, State
from entreg.tasks import check
from entreg.tasks.train import run, train
from entreg.version import VERSION
from tests.conftest import SMALL

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def config(composed, store) -> Config:
    return resolved(composed(*SMALL, f"paths.store={store}", "hardware=cpu", "trainer.epochs=1", "study=s"))


def test_a_training_ends_with_its_figures_and_its_final_checkpoint(config, tmp_path):
    folder = RunFolder(tmp_path)
    assert run(Ranks(), config, folder) == folder.last_ig_bits()
    assert folder.state is State.FINISHED and not folder.last.exists()
    assert all(path.is_file() for path in (folder.loss_curves, folder.bias_map, folder.predictions, folder.plan))
    (start,) = folder.starts()
    assert start["version"] == VERSION


def test_what_was_finished_before_is_not_trained_again(config, tmp_path):
    folder = RunFolder(tmp_path)
    checkpoint.write(folder.final, {"history": [{"validation_ig_bits_per_fixation": 0.25}]})
    assert train(config, folder) == 0.25


@pytest.mark.parametrize(
    "recorded, said",
    [
        ({}, "was begun by version 0.2.0; "),
        ({"version": "0.9.7"}, "was begun by version 0.9.7; "),
        ({"version": VERSION}, None),
    ],
    ids=str,
)
def test_going_on_with_what_another_version_began_is_said(config, tmp_path, caplog, recorded, said):
    folder = RunFolder(tmp_path)
    folder.provenance.write_text(json.dumps([recorded, {"version": VERSION}]))
    run(Ranks(), config, folder)
    lines = [line for line in caplog.messages if "was begun by version" in line]
    last_digits = f"this is version {VERSION}, so that its last digits may differ"
    assert lines == ([f"{folder} {said}{last_digits}"] if said else [])


def test_what_could_not_be_trained_is_refused_before_data_are_read(composed):
    check(resolved(composed("hardware=cpu")))
    with pytest.raises(SettingError, match="VGG-19 has conv1_1"):
        check(resolved(composed("model.backbone.taps=[conv9_1]")))
