"""What a training on real data must be told before it starts, by typed words or by an experiment."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from entreg.cli.execution import checked, refuse_start
from entreg.cli.typed_choices import DEFAULT_OOD
from entreg.errors import SettingError
from entreg.runs.folder import RunFolder

WEIGHTS, FOREIGN = "model.backbone.weights=IMAGENET1K_V1", "ood=[]"
TO_BE_CHOSEN = "to be chosen, by typing them or by an experiment:\n"
ASK_WEIGHTS = (
    "  weights        model.backbone.weights=IMAGENET1K_V1, or a file; for random ones: model.backbone.weights=null\n"
)
ASK_FOREIGN = "  foreign sets   ood=[NAME,...]; for none: ood=[]\n"


@pytest.fixture
def real(tmp_path):
    """Words that choose real data."""
    return "data=folder", f"data.root={tmp_path}", "data.name=lab"


def test_one_message_asks_for_all_that_is_missing(refused, real):
    message = refused(*real, "loss=nll,nll_entropy")
    said = f"A training on lab needs its weights and foreign sets {TO_BE_CHOSEN}{ASK_WEIGHTS}{ASK_FOREIGN}"
    assert message.startswith("job 0 (") and message.endswith(said)
    assert f"lab needs its foreign sets {TO_BE_CHOSEN}{ASK_FOREIGN}" in refused(*real, "seed=0,1", WEIGHTS)
    assert f"lab needs its weights {TO_BE_CHOSEN}{ASK_WEIGHTS}" in refused(*real, "seed=0,1", FOREIGN)


def test_every_job_of_a_sweep_is_asked(refused):
    message = refused("data=synthetic,osie", "ood.synthetic_ood.limit=5")
    assert message.startswith("job 1 (") and "A training on osie needs its weights and foreign sets" in message


@pytest.mark.parametrize(
    "words",
    [
        (WEIGHTS, FOREIGN),
        ("model.backbone.weights=null", "ood=[scene50]"),
        ("model.backbone.weights=vgg.pth", "ood=[synthetic_ood]"),
        (WEIGHTS, "ood=synthetic_ood"),
    ],
    ids=str,
)
def test_what_is_typed_is_said_even_where_it_is_the_default(start, real, words):
    assert len(start(*real, "loss=nll,nll_entropy", *words)[0].jobs) == 2


@pytest.mark.parametrize("words", [(), ("experiment=osie",)], ids=str)
def test_embedded_data_and_experiments_are_asked_nothing(start, words):
    assert start("seed=0,1", *words)


def test_an_experiment_that_sets_the_defaults_has_said_them(start, real, tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/trial.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /ood: [synthetic_ood]\nmodel:\n  backbone: {weights: null}\n"
    )
    assert start(*real, f"hydra.searchpath=[file://{tmp_path}]", "experiment=trial", "seed=0,1")


def test_other_tasks_are_asked_nothing(start, real):
    assert start(*real, "task=evaluate,prepare,predict", "run=r", "images=i")


def test_a_single_run_is_refused_before_anything_is_read(command, real, tmp_path):
    refused = command(*real, "study=mine", "hardware=cpu", folder=tmp_path)
    assert refused.returncode == 1
    assert f"\nA training on lab needs its weights and foreign sets {TO_BE_CHOSEN}{ASK_WEIGHTS}" in refused.stderr
    assert not (tmp_path / "outputs/mine/.hydra").exists()


def test_a_run_that_has_begun_goes_on_by_the_command_that_began_it(composed, real, tmp_path):
    cfg, folder = composed(*real, "study=mine"), RunFolder(tmp_path / "run")
    hydra_config = OmegaConf.create({"runtime": {"choices": {"ood": DEFAULT_OOD}}, "overrides": {"task": [*real]}})
    config = checked(cfg)
    with pytest.raises(SettingError, match="^A training on lab needs its weights and foreign sets"):
        refuse_start(config, cfg, hydra_config, folder)
    folder.write_config(config)
    refuse_start(config, cfg, hydra_config, folder)


def test_settings_of_data_beside_sets_are_refused_with_the_word_that_is_meant(refused):
    message = refused("sets=[synthetic,synthetic_ood]", "data.limit=4", "seed=0,1")
    said = "data.limit was typed, but the model learns from sets=[synthetic,synthetic_ood]; type sets.synthetic.limit="
    assert said in message


def test_a_name_that_a_set_does_not_take_is_refused(refused):
    message = refused("ood.synthetic_ood.name=lab", "seed=0,1")
    assert "ood.synthetic_ood.name=lab: a set goes by the name under which it stands; type +data@ood.lab=" in message


def test_several_real_sets_are_asked_for_their_weights_alone(refused):
    message = refused("sets=[osie,scene50]", "seed=0,1")
    assert f"A training on osie, scene50 needs its weights {TO_BE_CHOSEN}{ASK_WEIGHTS.rstrip()}" in message
    assert "foreign sets" not in message
