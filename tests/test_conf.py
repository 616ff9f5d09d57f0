"""Every config composes, names that scripts rely on exist, and wrong values are refused by their full key."""
from __future__ import annotations

from pathlib import Path

import hydra
import pytest
from hydra.errors import HydraException

from entreg.errors import SettingError
from entreg.settings import check, resolved
from tests.conftest import ROOT

GROUPS = ("task", "model", "data", "loss", "optim", "hardware", "logger", "experiment")


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml"))


@pytest.mark.parametrize("group, option", [(g, o) for g in GROUPS for o in options(g)])
def test_every_option_composes(composed, group, option):
    typed = ["data.root=somewhere"] if option == "folder" else []
    resolved(composed(f"{group}={option}", *typed))


@pytest.mark.parametrize("option", [o for o in options("data") if o != "folder"])
def test_any_data_set_can_stand_out_of_domain(composed, option):
    assert resolved(composed(f"ood=[{option}]")).ood[option].name == option


def test_without_out_of_domain(composed):
    assert resolved(composed("ood=[]")).ood == {}


@pytest.mark.parametrize("key", [
    "trainer.epochs=3", "trainer.batch_size=8", "data.root=a", "ood.synthetic_ood.root=b", "paths.data=c",
    "paths.weights=d", "model.backbone.weights=null", "loss.lambda_entropy=0.3", "loss.every=2", "seed=1",
    "data.limit=4", "ood.synthetic_ood.limit=5",
    "runs=multirun/x", "study=mine", "hydra.run.dir=e", "hydra.sweep.dir=f",
])
def test_names_that_scripts_rely_on(composed, key):
    composed(key)


def test_the_specification(composed):
    c = resolved(composed("experiment=triage", "loss=nll_entropy"))
    assert (c.data.name, list(c.ood), c.ood["cat2000"].sample, c.hardware.name) == ("mit1003", ["cat2000"], 50, "gpu4")
    assert (c.data.folds, c.data.fold, c.data.split_seed) == (10, 0, 42)
    assert (c.data.long_side_px, c.data.short_side_px, c.model.backbone.weights) == (1024, 768, "IMAGENET1K_V1")
    assert (c.trainer.epochs, c.trainer.batch_size, c.trainer.checkpoint_every) == (25, 32, 5)
    assert (c.optim.lr, c.optim.lr_final) == (0.001585, 1.5e-7)
    assert (c.loss.lambda_entropy, c.loss.every, c.uniform.images) == (1.0, 10, 16)


def test_what_is_typed_wins_over_an_experiment(composed):
    assert resolved(composed("experiment=triage", "data=synthetic", "trainer.epochs=1")).data.name == "synthetic"


def test_a_study_composes_with_a_lambda_sweep(composed):
    c = composed("experiment=[osie,lambda_sweep]")
    assert (c.data.name, c.loss.name) == ("osie", "nll_entropy")


@pytest.mark.parametrize("typed, key", [
    ("ood.synthetic_ood.sigma_px=-1", "ood.synthetic_ood.sigma_px"), ("data.sigma_px=0", "data.sigma_px"),
    ("loss.every=0", "loss.every"),
    ("loss.lambda_entropy=-0.1", "loss.lambda_entropy"), ("trainer.epochs=0", "trainer.epochs"),
    ("data.geometry=bend", "data.geometry"), ("data.fold=5", "data.fold"), ("seed=-1", "seed"),
    ("model.backbone.name=resnet", "model.backbone.name"), ("uniform.levels=[0.5,1.5]", "uniform.levels"),
    ("optim.lr=nan", "optim.lr"), ("optim.lr_final=1", "optim.lr_final"),
])
def test_a_value_out_of_range_is_named_in_full(composed, typed, key):
    with pytest.raises(SettingError) as error:
        check(composed(typed))
    assert str(error.value).startswith(f"{key}=")


@pytest.mark.parametrize(
    "typed", ["trainer.epoch=3", "ood.synthetic_ood.sigma=3", "trainer.epochs=many", "data=unheard_of"]
)
def test_wrong_keys_and_types_fail_on_composition(composed, typed):
    with pytest.raises(HydraException):
        composed(typed)


def test_paths_become_absolute(composed):
    assert resolved(composed("data.root=some/where")).data.root == str(Path.cwd() / "some/where")


def test_every_target_exists(composed):
    for group in ("task", "data"):
        for option in options(group):
            target = composed(f"{group}={option}")[group]._target_
            assert callable(hydra.utils.get_method(target))
