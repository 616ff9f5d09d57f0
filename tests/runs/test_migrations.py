"""What version 0.2.0 saved has the same meaning today; tests/cli says what its words are answered with."""

from __future__ import annotations

import copy

import pytest

from entreg.config.settings import resolved
from entreg.runs import migrations
from entreg.runs.folder import RunFolder, plain
from tests.conftest import ROOT

EARLIER = ROOT / "tests/earlier/0.2.0"
FOLDER = "entreg.data.sources.folder.load"


def test_a_saved_config_names_its_task_and_its_sources():
    saved = {
        "task": {"_target_": "entreg.train.trainer.train", "name": "train", "devices": None},
        "data": {"_target_": FOLDER, "name": "photos"},
        "ood": {"mine": {"_target_": FOLDER, "limit": 3}},
        "seed": 0,
    }
    before = copy.deepcopy(saved)
    assert migrations.today(saved) == {
        "task": {"name": "train", "devices": None},
        "data": {"source": "folder", "name": "photos"},
        "ood": {"mine": {"source": "folder", "limit": 3}},
        "seed": 0,
    }
    assert saved == before


def test_a_backbone_has_the_precision_that_was_the_products_before_it_had_its_own():
    saved = {"model": {"backbone": {"name": "vgg19"}, "downsample": 2}, "hardware": {"precision": "bfloat16"}}
    today = {"model": {"backbone": {"name": "vgg19", "precision": "bfloat16"}, "downsample": 2}}
    assert migrations.today(saved) == saved | today
    assert migrations.today(saved | today) == saved | today
    other = {"model": {"backbone": {"precision": "float32"}}, "hardware": {"precision": "bfloat16"}}
    assert migrations.today(other) == other


def test_a_run_of_version_0_2_0_is_the_run_that_is_composed_today(composed):
    """All that it saved, and what its plan says of foreign sets; later settings have their defaults."""
    words = (EARLIER / "multirun/arms/1/.hydra/overrides.yaml").read_text().replace("- ", "").split()
    folder = RunFolder(EARLIER / "multirun/arms/1")
    today = plain(resolved(composed(*words)))
    saved, planned = folder.read_config(), folder.read_plan()
    new = {"sets", "sets_images", "sets_images_seed", "sets_weight", "leave_out", "allow"}
    # how a later version submits it and reports, that it may learn from several sets, and what it may call
    assert today.keys() - saved.keys() == {"sweep", "loggers", *new}
    later = {key: today[key].keys() - saved[key].keys() for key in ("evaluation", "hardware", "optim", "prediction")}
    optim = {"name", "settings", "schedule", "schedule_settings"}
    assert later == {
        "evaluation": {"accept", "others"},
        "hardware": {"step"},
        "optim": optim,
        "prediction": {"set"},
    }
    primary = saved["evaluation"]["primary"]
    assert {"against": "baseline"} | primary == today["evaluation"]["primary"] and "against" not in primary
    saved["evaluation"]["primary"] = today["evaluation"]["primary"]
    for key in later:
        assert today[key] | saved[key] == today[key]
    backbone = {"precision": saved["hardware"]["precision"]} | saved["model"]["backbone"]
    assert saved["model"]["backbone"] == backbone
    module = {"module": {}, "patch_px": None, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    assert today["model"] == saved["model"] | {"backbone": saved["model"]["backbone"] | module, "per_set": []}
    others = saved.keys() - later.keys() - {"model"}
    assert {key for key in others if saved[key] != today[key]} == {"data", "ood", "paths"}  # places are others
    foreign = today["ood"]["foreign"] | {"root": ""}
    assert len(saved["data"]) > 15 and today["data"] | saved["data"] | {"root": ""} == today["data"] | {"root": ""}
    assert all(foreign | one["ood"]["foreign"] | {"root": ""} == foreign for one in (saved, planned))


def test_a_source_of_ones_own_keeps_its_modules_name_and_any_other_function_is_no_name():
    assert migrations.data_set({"_target_": "entreg.data.sources.listed.load"}) == {"source": "listed"}
    for target in ("os.system", "entreg.data.sources.folder", "entreg.data.sources.a.b.load", f"{FOLDER}s", ["a"]):
        assert migrations.data_set({"_target_": target}) == {"source": target}


@pytest.mark.parametrize(
    "tree",
    [
        {"task": {"name": "train", "_target_": "os.system"}},
        {"data": {"source": "folder", "_target_": "os.system"}},
        {"data": None, "ood": 3},
    ],
)
def test_what_version_0_2_0_did_not_save_is_left_to_be_refused(tree):
    assert migrations.today(tree) == tree


@pytest.mark.parametrize("words", [[], ["data=mit1003", "ood=[cat2000]"]], ids=["embedded", "downloaded"])
def test_a_config_of_today_stays_as_it_is(composed, words):
    tree = plain(resolved(composed(*words)))
    assert migrations.today(tree) == tree
