"""What a setting declares, and everything that is derived from it: ranges, resuming, help."""

from __future__ import annotations

import dataclasses
import math
import re
import typing

import pytest

from entreg.config import Config
from entreg.config.settings import AFFECTS, check, differing, resolved, setting, settings_of
from entreg.data.sources import sources
from entreg.data.sources.folder import Settings as Folder
from entreg.errors import SettingError
from entreg.losses import nll


def declared(schema, prefix=""):
    """(key, metadata) of every leaf that a schema has, declared with `setting` or not."""
    hints = typing.get_type_hints(schema)
    for item in dataclasses.fields(schema):
        hint = hints[item.name]
        kinds = [kind for kind in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(kind)]
        if kinds and "meaning" not in item.metadata:
            yield from declared(kinds[0], f"{prefix}{item.name}.")
        else:
            yield prefix + item.name, item.metadata


@pytest.mark.parametrize("schema", [Config, *sources().values()], ids=lambda schema: f"{schema.__module__}")
def test_every_setting_says_what_it_means_and_what_it_changes(schema):
    for key, metadata in declared(schema):
        assert metadata.get("affects") in AFFECTS and metadata.get("meaning"), f"{key} is not declared with `setting`"


def test_what_the_settings_change():
    """The ones that the study rests on."""
    config = Config(data=Folder(), ood={"lab": Folder()}, loss=nll.Settings())
    words = {setting.key: setting.affects for setting in settings_of(config)}
    expected = {
        "loss.lambda_entropy": "result",
        "data.fold": "replicate",
        "data.drop_first": "result",
        "prior.kde_bandwidth": "result",
        "hardware.precision": "result",
        "model.backbone.precision": "result",
        "seed": "replicate",
        "hardware.devices": "replicate",
        "hardware.threads": "replicate",
        "hardware.kind": "replicate",
        "evaluation.seed": "evaluation",
        "ood.lab.limit": "evaluation",
        "ood.lab.drop_first": "evaluation",
        "data.sigma_px": "evaluation",
        "data.root": "location",
        "study": "location",
        "hardware.gpus": "machine",
    }
    assert {key: words[key] for key in expected} == expected


@pytest.mark.parametrize(
    "change, refused",
    [
        ("optim.lr=0.1", ["optim.lr"]),
        ("seed=3", ["seed"]),
        ("hardware.threads=7", ["hardware.threads"]),
        ("ood.synthetic_ood.limit=3", []),
        ("evaluation.seed=3", []),
        ("paths.store=elsewhere", []),
        ("hardware.partition=gpu", []),
        ("data=synthetic_ood", ["data.bias_x", "data.bias_y", "data.folds", "data.images", "data.name", "data.seed"]),
    ],
)
def test_what_makes_another_run_follows_from_the_words(composed, change, refused):
    saved = dataclasses.asdict(resolved(composed("seed=0")))
    assert differing(saved, resolved(composed(change))) == refused


def test_a_setting_that_a_saved_config_lacks_has_its_default(composed):
    config = resolved(composed())
    saved = dataclasses.asdict(config)
    del saved["loss"]["aggregation"], saved["uniform"]
    assert differing(saved, config) == []
    assert differing(saved, resolved(composed("loss.aggregation=entropy_of_mean", "uniform.images=3"))) == [
        "loss.aggregation",
        "uniform.images",
    ]


@pytest.mark.parametrize(
    "typed, key, why",
    [
        ("data.fold=7", "data.fold", "folds is 5"),
        ("data.short_side_px=999", "data.short_side_px", "at most long_side_px=384"),
        ("ood.synthetic_ood.bias_share=0.9", "ood.synthetic_ood.bias_share", "with object_share=0.55 at most 1"),
        ("uniform.levels=[]", "uniform.levels", "give intensities"),
        ("optim.lr_final=1", "optim.lr_final", "at most lr="),
    ],
)
def test_rules_that_tie_settings_together_are_named_in_full(composed, typed, key, why):
    with pytest.raises(SettingError, match=rf"^{re.escape(key)}=.* is out of range: {re.escape(why)}"):
        check(composed(typed))


@pytest.mark.parametrize(
    "key, value",
    [
        ("loss.lambda_entropy", math.inf),
        ("optim.lr", math.inf),
        ("optim.lr", math.nan),
        ("uniform.levels", [math.nan]),
        ("model.sigma_px", 1e-30),
        ("model.sigma_px", 1e9),
        ("prior.kde_bandwidth", 1e-6),
        ("prior.gaussian_nu", 1e-9),
        ("seed", 2**32),
        ("data.split_seed", 2**32),
        ("data.sample_seed", 2**32),
        ("evaluation.seed", 2**32),
        ("model.backbone.seed", 2**64),
        ("data.folds", 10**9),
        ("data.long_side_px", 10**6),
        ("uniform.images", 10**9),
    ],
)
def test_what_would_not_give_finite_numbers_in_finite_time_is_refused(composed, key, value):
    shown = str(value).replace("'", "")
    with pytest.raises(SettingError, match=rf"^{re.escape(key)}=.* is out of range: "):
        resolved(composed(f"{key}={shown}"))


def test_a_place_that_no_file_system_has_is_refused(composed):
    for value in ("A" * 256, "é" * 128, "/".join(["A" * 200] * 21)):
        with pytest.raises(SettingError, match=r"^data.root=.*… is out of range: a name has at most 255 bytes, a path"):
            resolved(composed(f"data.root='{value}'"))
    assert resolved(composed(f"data.root={'A' * 255}")).data.root.endswith("A" * 255)


def test_a_path_with_a_nul_is_refused(composed):
    cfg = composed()
    cfg.data.root = "a\0b"
    with pytest.raises(SettingError, match=r"^data.root=a\\x00b… is out of range: .* none of them NUL"):
        resolved(cfg)


@pytest.mark.parametrize(
    "keywords, said",
    [
        ({"changes": "result"}, "setting 'depth': changes= is unknown; affects= takes one of result, replicate, "),
        ({"affects": "everything"}, "setting 'depth': affects='everything' is unknown; affects= takes one of result, "),
        ({}, "setting 'depth': affects='' is unknown; affects= takes one of result, replicate, "),
    ],
)
def test_a_keyword_of_another_version_is_answered_with_todays(keywords, said):
    with pytest.raises(ValueError) as caught:
        setting(3, "depth", **keywords)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    "word, said",
    [
        ("+data.fodl=1", "data.fodl is no setting; near it are data.fold, data.folds"),
        ("+qqqqqqqq=3", "qqqqqqqq is no setting; --help=all lists them"),
        ("+lambda_entropy=3", "lambda_entropy is no setting; near it is loss.lambda_entropy"),
        ("+ood.synthetic_ood.qqqqqqqq=3", "ood.synthetic_ood.qqqqqqqq is no setting; --help=all lists them"),
    ],
)
def test_a_key_that_is_appended_is_no_setting(composed, word, said):
    """It would be ignored, and two arms that differ in it would be the same."""
    with pytest.raises(SettingError) as caught:
        check(composed(word))
    assert str(caught.value) == said


def test_another_choice_of_sets_is_another_run_and_their_order_is_none(composed):
    saved = dataclasses.asdict(resolved(composed("sets=[osie,scene50]")))
    assert differing(saved, resolved(composed("sets=[scene50,osie]"))) == []
    assert differing(saved, resolved(composed("data=osie"))) == ["sets"]
    assert "sets" in differing(saved, resolved(composed("sets=[osie,scene50,cat2000]")))
    changed = resolved(composed("sets=[osie,scene50]", "sets.scene50.limit=5", "sets.osie.root=/a"))
    assert differing(saved, changed) == ["sets.scene50.limit"]
