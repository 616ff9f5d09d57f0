"""What precedes the first step of a training."""

from __future__ import annotations

import json
import logging
import random
import shlex
import sys

import numpy as np
import torch

from entreg.cli import arguments
from entreg.config.settings import resolved
from entreg.distributed.ranks import Ranks
from entreg.runs import checkpoint
from entreg.runs.folder import RunFolder
from entreg.study.study import Study
from entreg.study.study_cache import StudyCache
from entreg.tasks.preview import preview
from entreg.training.start import advise_a_look, finished_before, record_start, seed_everything
from entreg.training.trainer import Trainer
from entreg.version import VERSION
from tests.conftest import SMALL
from tests.evaluation.photos import write_set


def test_a_training_that_was_killed_at_its_very_end_is_finished(tmp_path):
    """Its last checkpoint goes after the final one has come."""
    folder, row = RunFolder(tmp_path / "run"), {"validation_ig_bits_per_fixation": 0.25}
    for path in (folder.final, folder.last):
        checkpoint.write(path, {"history": [row]})
    folder.loss_curves.parent.mkdir()
    for path in (folder.loss_curves, folder.bias_map, folder.predictions):
        path.touch()
    assert finished_before(folder)
    assert folder.final.is_file() and not folder.last.exists()


def test_a_damaged_final_checkpoint_is_set_aside_and_the_run_has_not_finished(tmp_path):
    folder = RunFolder(tmp_path / "run")
    checkpoint.write(folder.final, {"history": []})
    folder.final.write_bytes(folder.final.read_bytes()[:100])
    assert not finished_before(folder) and not folder.final.exists()


def test_one_seed_gives_the_same_numbers_again():
    def draw():
        seed_everything(3)
        return random.random(), np.random.rand(), torch.rand(1).item()

    assert draw() == draw()


def test_each_start_is_recorded_and_the_log_warns_of_other_code_and_another_version(composed, store, tmp_path, caplog):
    words = (*SMALL, f"paths.store={store}", "hardware=cpu", "seed=4")
    study = Study(resolved(composed(*words)), StudyCache(Ranks()))
    folder = RunFolder(tmp_path)
    trainer = Trainer(study, folder)
    with caplog.at_level(logging.WARNING):
        record_start(trainer, study)
    assert not any("started" in message or "begun" in message for message in caplog.messages)
    assert folder.center_bias.is_file() and folder.read_plan() is not None
    assert json.loads(folder.fingerprints.read_text()).keys() == {"data", "ood.synthetic_ood"}
    (start,) = folder.starts()
    assert start["version"] == VERSION and start["seeds"]["run"] == start["seeds"]["order"] == 4
    assert start["fingerprints"] == trainer.fingerprints

    starts = tmp_path / "provenance.json"
    starts.write_text(json.dumps([start | {"code": "commit 0123abc", "version": "0.2.0"}]))
    caplog.clear()
    record_start(trainer, study)
    assert caplog.messages == [
        f"the code changed since this run was last started: then commit 0123abc, now {start['code']}",
        f"{folder} was begun by version 0.2.0; this is version {VERSION}, so that its last digits may differ",
    ]
    assert len(folder.starts()) == 2


def test_the_first_training_on_a_set_that_nobody_has_seen_says_how_to_look(composed, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/x/train.py"])
    root = tmp_path / "my lab's"
    write_set(root, range(3))
    words = ["data=folder", f"data.root={arguments.quoted(str(root))}", "data.folds=3", "ood=[]", "seed=1"]
    config = resolved(composed(*words, "data.name=lab", f"paths.store={tmp_path}/store"))
    folder, study = RunFolder(tmp_path / "run"), Study(config, StudyCache(Ranks()))
    folder.write_typed(words, "")
    for _ in range(2):
        advise_a_look(study, folder)
    (said,) = [message for message in caplog.messages if "looked" in message]
    assert said.startswith("nobody has looked at lab before; to look: python train.py task=preview data=folder ")
    assert shlex.split(said.partition("task=preview ")[2]) == words[:4]
    assert resolved(composed("task=preview", *shlex.split(said.partition("task=preview ")[2]))).data.root == str(root)


def test_what_a_preview_has_shown_is_not_asked_for(composed, tmp_path, caplog):
    write_set(tmp_path / "lab", range(3))
    words = "data=folder", f"data.root={tmp_path}/lab", "data.folds=3", "ood=[]", f"paths.store={tmp_path}/store"
    preview(resolved(composed("task=preview", *words)), RunFolder(tmp_path / "preview"))
    advise_a_look(Study(resolved(composed(*words)), StudyCache(Ranks())), RunFolder(tmp_path / "run"))
    embedded = resolved(composed(f"paths.store={tmp_path}/store"))
    advise_a_look(Study(embedded, StudyCache(Ranks())), RunFolder(tmp_path / "run"))
    assert not any("looked" in message for message in caplog.messages)


def test_an_experiment_with_a_sweep_is_previewed_once(composed, tmp_path, caplog):
    write_set(tmp_path / "lab", range(3))
    config = resolved(composed("data=folder", f"data.root={tmp_path}/lab", "ood=[]", f"paths.store={tmp_path}/store"))
    folder = RunFolder(tmp_path / "run")
    folder.write_typed(["experiment=[osie,lambda_sweep]", "loss.lambda_entropy=0", "seed=3"], "")
    advise_a_look(Study(config, StudyCache(Ranks())), folder)
    assert caplog.messages[-1].endswith("task=preview 'experiment=[osie,lambda_sweep]' hydra.mode=RUN")
