"""What version 0.1.0 saved means today what it meant then."""
from __future__ import annotations

import copy
import dataclasses
import inspect

import hydra
import pytest
from omegaconf import OmegaConf

from entreg.data.sources import settings_of_target
from entreg.run import former
from entreg.run.folder import plain
from entreg.settings import resolved

# the settings of every data set, as version 0.1.0 saved them
SAVED = {
    "limit": None, "sample": None, "sample_seed": 0, "split_seed": 42, "folds": 10, "fold": 0, "geometry": "stretch",
    "long_side_px": 1024, "short_side_px": 768, "sigma_px": 35.0,
}
MIT1003 = SAVED | {"_target_": "entreg.data.mit1003.load", "name": "mit1003", "root": "/study/data/MIT1003"}
CAT2000 = SAVED | {
    "_target_": "entreg.data.cat2000.load", "name": "cat2000", "root": "/study/data/CAT2000", "sample": 50,
}


@pytest.mark.parametrize("name", sorted(set(former.TARGETS.values())))
def test_every_name_of_today_is_a_function_that_a_config_calls(name):
    function = hydra.utils.get_method(name)
    assert inspect.isfunction(function) and f"{function.__module__}.{function.__qualname__}" == name


@pytest.mark.parametrize("saved", [MIT1003, CAT2000], ids=lambda saved: saved["name"])
def test_a_saved_data_set_has_the_settings_that_are_composed_today(composed, saved):
    tree = former.today({"data": saved})["data"]
    settings = OmegaConf.to_object(OmegaConf.merge(settings_of_target(tree["_target_"]), tree))
    expected = resolved(composed(f"data={saved['name']}", "paths.data=/study/data")).data
    assert expected.published_at is not None
    known_since = {"published_at": None, "downloads": {}, "px_per_degree": None}
    assert settings == dataclasses.replace(expected, **known_since)


def test_what_was_saved_wins_over_what_the_old_name_implied():
    tree = former.today({"data": MIT1003 | {"expected_images": 7}})
    assert tree["data"]["expected_images"] == 7


def test_names_are_replaced_at_any_depth_and_the_saved_config_stays_as_it_was():
    saved = {"task": {"_target_": "entreg.engine.training.train", "name": "train"}, "a": {"b": {"c": CAT2000}}}
    before = copy.deepcopy(saved)
    tree = former.today(saved)
    assert tree["task"] == {"_target_": "entreg.train.trainer.train", "name": "train"}
    assert tree["a"]["b"]["c"]["_target_"] == "entreg.data.sources.fixation_maps.load"
    assert saved == before


def test_the_foreign_set_of_then_stands_under_its_name():
    """There was one or none."""
    assert former.today({"ood": CAT2000})["ood"].keys() == {"cat2000"}
    assert former.today({"ood": None})["ood"] == {}


def test_a_name_that_nobody_knows_is_left_alone():
    assert former.today({"data": {"_target_": "os.system", "command": "true"}})["data"] == {
        "_target_": "os.system", "command": "true",
    }


@pytest.mark.parametrize("words", [[], ["data=mit1003", "ood=[cat2000]"]], ids=["embedded", "downloaded"])
def test_a_config_of_today_stays_as_it_is(composed, words):
    config = resolved(composed(*words))
    tree = plain(config)
    assert former.today(tree) == tree
    settings = OmegaConf.merge(settings_of_target(tree["data"]["_target_"]), tree["data"])
    assert OmegaConf.to_object(settings) == config.data
