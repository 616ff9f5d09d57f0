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
from tests.conftest import ROOT

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


ALL_AT_ONCE = ": all foreign sets of one training (a sweep over them would train everything anew)"
ONE_TO_LEARN_FROM = (
    "type data=NAME, one data set to learn from; ood=[NAME,...] holds those that the model is also judged on"
)


@pytest.mark.parametrize("word, instead", [
    ("data@ood=scene50", "type ood=[scene50] (several: ood=[scene50,another])"),
    ("+data@ood=scene50", "type ood=[scene50] (several: ood=[scene50,another])"),
    ("data@ood=null", "type ood=[] for no foreign set"),
    ("~data@ood", "type ood=[] for no foreign set"),
    ("~data@ood=scene50", "type ood=[] for no foreign set"),
    ("~ood", "type ood=[] for no foreign set"),
    ("ood=null", "type ood=[] for no foreign set"),
    ("ood=a,b", f"type ood=[a,b]{ALL_AT_ONCE}"),
    ("data@ood=a,b", f"type ood=[a,b]{ALL_AT_ONCE}"),
    ("ood=[a],[b]", f"type ood=[a,b]{ALL_AT_ONCE}"),
    ("ood=[a,b],[a]", f"type ood=[a,b]{ALL_AT_ONCE}"),
    ("ood=[],[a]", f"type ood=[a]{ALL_AT_ONCE}"),
    ("ood=[a], [b]", f"type ood=[a,b]{ALL_AT_ONCE}"),
    ("ood=choice(a,b)", f"type ood=[a,b]{ALL_AT_ONCE}"),
    ("ood=choice([a],[b])", f"type ood=[a,b]{ALL_AT_ONCE}"),
    ("ood=shuffle([a],['b'])", f"type ood=[a,b]{ALL_AT_ONCE}"),
    ("ood=glob(*)", f"type ood=[NAME,...]{ALL_AT_ONCE}"),
    ("+ood=[a],[b]", f"type ood=[a,b]{ALL_AT_ONCE}"),
    ("+data@ood.mine=a,b", f"type +data@ood.a=a +data@ood.b=b{ALL_AT_ONCE}"),
    ("data=[a,b]", ONE_TO_LEARN_FROM),
    ("data=[a]", ONE_TO_LEARN_FROM),
    ("data=[a],[b]", ONE_TO_LEARN_FROM),
    *((f"{plus}ood.{key}={value}", f"type ood.NAME.{key}=..., NAME being one of the foreign sets (ood=[NAME])")
      for plus in ("", "+", "++")
      for key, value in (("limit", 3), ("root", "/data/mine"), ("stimuli", "*.png"), ("bias_sd", 0.2), ("limit", "3,5"),
                         ("_target_", "os.system"))),
    ("evaluation.bootstrap=10000",
     'leave it out: intervals are no longer resampled (README, "How sure it is")'),
])
def test_what_was_typed_once_is_answered_with_todays_form(word, instead):
    assert former.answer(["loss=nll", word, "seed=0,1"], ROOT / "conf") == f"{word}: {instead}"


@pytest.mark.parametrize("word", [
    "-m", "--config-dir=x", "ood=[a]", "ood=[a,b]", "ood=[]", "data=osie", "data=osie,scene50", "seed=0,1",
    "ood.scene50.limit=3", "ood.scene50.root=/data", "+data@ood.mine=folder", "ood.mine.root=/data",
    "+ood.mine={name:mine}", "~ood.scene50", "ood=[", "experiment=osie", "experiment=[osie,triage]", "experiment=none",
])
def test_what_is_typed_today_has_no_answer(word):
    assert former.answer([word], ROOT / "conf") is None


@pytest.mark.parametrize("word", ["experiment=mine", "+experiment=mine", "experiment=[osie,mine]", "experiment=a,mine"])
@pytest.mark.parametrize("line", ["override /data@ood: scene50", "override data@ood: null"])
def test_an_experiment_of_ones_own_is_answered_by_its_file(tmp_path, word, line):
    path = tmp_path / "experiment/mine.yaml"
    path.parent.mkdir()
    path.write_text(f"# @package _global_\ndefaults:\n  - {line}\n")
    assert former.answer([word], tmp_path) == f"{path}: `override /data@ood: NAME` is now `override /ood: [NAME]`"
    path.write_text("# @package _global_\ndefaults:\n  - override /ood: [scene50]\n")
    assert former.answer([word], tmp_path) is None


@pytest.mark.parametrize("words", [[], ["data=mit1003", "ood=[cat2000]"]], ids=["embedded", "downloaded"])
def test_a_config_of_today_stays_as_it_is(composed, words):
    config = resolved(composed(*words))
    tree = plain(config)
    assert former.today(tree) == tree
    settings = OmegaConf.merge(settings_of_target(tree["data"]["_target_"]), tree["data"])
    assert OmegaConf.to_object(settings) == config.data
