"""Every config composes, names that scripts rely on exist, and wrong values are refused by their full key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra.errors import HydraException
from omegaconf import OmegaConf

from entreg.cli import composition
from entreg.cli.execution import checked
from entreg.config.settings import check, resolved, settings_of
from entreg.data import sources
from entreg.errors import SettingError
from entreg.runs import sweep_words
from tests.conftest import ROOT

GROUPS = ("task", "model", "data", "loss", "optim", "hardware", "logger", "experiment")


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml"))


@pytest.mark.parametrize("group, option", [(g, o) for g in GROUPS for o in options(g)])
def test_every_option_composes(composed, group, option):
    typed = ["data.root=somewhere"] if option == "folder" else []
    resolved(composed(f"{group}={option}", *typed))


def test_a_table_is_described_alike_for_training_and_for_a_foreign_set(composed):
    """A name with brackets is quoted as a value, and its brackets are escaped as a key."""
    words = [
        r"columns={x: 'Fixation point X [MCSnorm]'}",
        r"filter={Eye movement type: [Fixation], Valid \[both\]: [1]}",
        "frame.origin=centre",
        "frame.screen_width_px=1920",
        r"subject_from='User (\d+)'",
    ]
    typed = [f"{role}.{word}" for role in ("data", "ood.folder") for word in words]
    c = resolved(composed("data=folder", "data.root=/a", "ood=[folder]", "ood.folder.root=/b", *typed))
    for settings in (c.data, c.ood["folder"]):
        assert settings.columns.x == "Fixation point X [MCSnorm]" and settings.columns.y is None
        assert settings.filter == {"Eye movement type": ["Fixation"], "Valid [both]": [1]}
        assert (settings.frame.origin, settings.frame.screen_width_px) == ("centre", 1920)
        assert settings.subject_from == r"User (\d+)"
    of_the_arm = {setting.key for setting in settings_of(c) if setting.affects == "result"}
    assert of_the_arm >= {
        f"data.{key}" for key in ("columns.x", "filter", "frame.origin", "key", "table", "text.decimal")
    }


@pytest.mark.parametrize(
    "typed, said",
    [
        ("data.frame.origin=middle", "data.frame.origin=middle is out of range: "),
        (
            "data.frame={unit: shares, index_base: 1}",
            "data.frame.index_base=1 is out of range: only pixels are counted",
        ),
        ("data.frame.unit=degrees", "data.px_per_degree=None is out of range: frame.unit=degrees needs it"),
        ("data.subject_from='User .*'", "data.subject_from=User .* is out of range: give one group in brackets"),
        ("data.message='('", "data.message=( is out of range: no regular expression: "),
        ("data.filter=[a]", "data.filter=['a'] is out of range: give columns and the values that are kept"),
    ],
)
def test_what_contradicts_itself_in_a_table_is_refused(composed, typed, said):
    with pytest.raises(SettingError) as error:
        check(composed("data=folder", "data.root=/a", typed))
    assert str(error.value).startswith(said)


@pytest.mark.parametrize("option", [o for o in options("data") if o != "folder"])
def test_any_data_set_can_stand_out_of_domain(composed, option):
    assert resolved(composed(f"ood=[{option}]")).ood[option].name == option


def test_a_foreign_set_that_is_none_is_refused_with_those_that_are(composed):
    with pytest.raises(HydraException, match="Could not find 'ood/nowhere'(.|\n)*\tosie\n(.|\n)*\tscene50\n"):
        composed("ood=nowhere")


def test_a_data_set_of_ones_own_folder_of_options_can_be_judged_on(command, tmp_path):
    (tmp_path / "mine/data").mkdir(parents=True)
    (tmp_path / "mine/data/lab.yaml").write_text("defaults: [osie, _self_]\n\nname: lab\nroot: /lab\n")
    for words in (("--config-dir=mine",), ("-cd", "mine")):
        done = command("--cfg=job", "--package=ood", *words, "ood=[lab,scene50]", folder=tmp_path)
        assert done.returncode == 0 and re.search(r"^lab:\n(  .*\n)*  root: /lab\n", done.stdout, re.MULTILINE)


def test_without_out_of_domain(composed):
    assert resolved(composed("ood=[]")).ood == {}


def test_several_sets_stand_in_for_data_and_choose_no_foreign_ones(composed):
    c = resolved(composed("sets=[scene50,cat2000]"))
    assert ([*c.sets], c.ood) == (["cat2000", "scene50"], {})
    assert c.data is c.sets["cat2000"]
    assert [*c.data_sets] == ["sets.cat2000", "sets.scene50"]
    c = resolved(composed("sets=[scene50,cat2000]", "data=scene50", "sets.scene50.limit=7", "ood=[osie]"))
    assert c.data is c.sets["scene50"] and c.data.limit == 7 and [*c.ood] == ["osie"]
    assert [*resolved(composed("experiment=osie", "sets=[scene50,osie]")).ood] == ["scene50"]


def test_sets_that_scale_by_degrees_scale_to_what_data_scales_to(composed):
    c = resolved(composed("sets=[mit1003,osie]", "sets.osie.geometry=degrees", "sets.mit1003.geometry=degrees"))
    assert [c.sets[name].model_px_per_degree for name in ("mit1003", "osie")] == [35, 35]
    c = resolved(composed("sets=[mit1003,osie]", "sets.osie.geometry=degrees"))
    assert (c.sets["osie"].model_px_per_degree, c.sets["mit1003"].geometry) == (24, "stretch")


def test_leaving_one_set_out_is_a_sweep_of_both_arms_over_all_sets(composed):
    c = composed("experiment=leave_one_set_out")
    assert c.evaluation.primary.domain == "left_out" and c.ood == {}
    assert sorted(c.sets) == ["synthetic", "synthetic_ood", "synthetic_wide"]
    # what is left to learn from has enough images, whichever set it is
    fewest = min(of_set.images * (of_set.folds - 1) // of_set.folds for of_set in c.sets.values())
    assert c.sets_images <= 2 * fewest


def test_leaving_one_real_set_out_learns_from_three(composed):
    c = composed("experiment=[leave_one_set_out,real_sets]")
    assert sorted(c.sets) == ["crowd100", "etocvd_excluding_200ms", "osie", "scene50"]
    assert c.model.backbone.weights == "IMAGENET1K_V1" and c.evaluation.primary.domain == "left_out"
    assert c.sets_images <= 3 * (c.sets.scene50.expected_images * 9 // 10)


def test_pooled_or_single_trains_each_set_alone_all_but_one_and_all_with_equally_many_images(composed):
    c = composed("experiment=pooled_or_single")
    params = OmegaConf.load(ROOT / "conf/experiment/pooled_or_single.yaml").hydra.sweeper.params
    rows = [
        job[0].removeprefix("sets=[").removesuffix("]").split(",") for job in sweep_words.jobs_of(params, ["seed=0"])
    ]
    assert sorted(map(len, rows)) == [1, 1, 1, 2, 2, 2, 3] and len({*map(tuple, rows)}) == 7
    # each set alone has enough images
    fewest = min(of_set.images * (of_set.folds - 1) // of_set.folds for of_set in c.sets.values())
    assert c.sets_images <= fewest
    primary = resolved(c).evaluation.primary
    assert (primary.against, primary.domain, primary.arm["loss.name"]) == ("single_sets", "left_out", "nll")


@pytest.mark.parametrize(
    "words, said",
    [
        (
            ("sets=[scene50,cat2000]", "evaluation.primary.against=single_sets"),
            "evaluation.primary.against=single_sets is out of range: single_sets is compared by domain=left_out",
        ),
        (
            ("evaluation.primary.against=single_sets", "evaluation.primary.domain=left_out"),
            "evaluation.primary.against=single_sets is out of range: single_sets are compared of models that",
        ),
        (
            ("sets=[scene50,cat2000]", "data=osie"),
            "data.name=osie is out of range: the model learns from sets=[cat2000,",
        ),
        (("sets_images=9",), "sets_images=9 is out of range: it needs several sets to learn from"),
        (("leave_out=osie",), "leave_out=osie is out of range: it needs several sets to learn from"),
        (("sets=[scene50,cat2000]", "leave_out=osie"), "leave_out=osie is out of range: one of sets=[cat2000,scene50]"),
        (("sets=[osie]", "leave_out=osie"), "leave_out=osie is out of range: no other set is left to learn from"),
        (("sets=[synthetic]", "sets_weight=fixations"), "sets_weight=fixations is out of range"),
    ],
)
def test_what_contradicts_several_sets_is_refused(composed, words, said):
    with pytest.raises(SettingError) as error:
        resolved(composed(*words))
    assert str(error.value).startswith(said)


@pytest.mark.parametrize(
    "key",
    [
        "trainer.epochs=3",
        "trainer.batch_size=8",
        "data.root=a",
        "ood.synthetic_ood.root=b",
        "paths.data=c",
        "paths.weights=d",
        "model.backbone.weights=null",
        "loss.lambda_entropy=0.3",
        "loss.every=2",
        "seed=1",
        "data.limit=4",
        "ood.synthetic_ood.limit=5",
        "runs=multirun/x",
        "study=mine",
        "hydra.run.dir=e",
        "hydra.sweep.dir=f",
    ],
)
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


@pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/")  # each is merged over its schema of that name, as meant
def test_both_launchers_of_slurm_ask_for_the_same():
    """What they are and how many runs a job has aside."""
    composition.register()

    def asked_by(launcher: str) -> dict[str, Any]:
        words = [f"hydra/launcher={launcher}", "hardware=gpu4", "hardware.partition=p", "study=x"]
        with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            cfg = hydra.compose("config", words, return_hydra_config=True)
        return {key: cfg.hydra.launcher[key] for key in cfg.hydra.launcher if key not in ("_target_", "runs_per_job")}

    asked = asked_by("submitit_slurm")
    assert asked == asked_by("together_slurm")
    assert (asked["gpus_per_node"], asked["partition"], asked["max_num_timeout"]) == (4, "p", 20)


@pytest.mark.parametrize(
    "typed, key",
    [
        ("ood.synthetic_ood.sigma_px=-1", "ood.synthetic_ood.sigma_px"),
        ("data.sigma_px=0", "data.sigma_px"),
        ("loss.every=0", "loss.every"),
        ("loss.lambda_entropy=-0.1", "loss.lambda_entropy"),
        ("trainer.epochs=0", "trainer.epochs"),
        ("data.geometry=bend", "data.geometry"),
        ("data.fold=5", "data.fold"),
        ("seed=-1", "seed"),
        ("uniform.levels=[0.5,1.5]", "uniform.levels"),
        ("optim.lr=nan", "optim.lr"),
        ("optim.lr_final=1", "optim.lr_final"),
    ],
)
def test_a_value_out_of_range_is_named_in_full(composed, typed, key):
    with pytest.raises(SettingError) as error:
        check(composed(typed))
    assert str(error.value).startswith(f"{key}=")


@pytest.mark.parametrize("task", ["train", "evaluate"])
def test_a_study_for_a_metric_that_is_none_is_refused_with_those_that_are(composed, task):
    with pytest.raises(SettingError, match=r"^evaluation.primary.metric=beauty is no metric .* \(one of ig, ll, nss, "):
        checked(composed(f"task={task}", "evaluation.primary.metric=beauty"))
    assert checked(composed(f"task={task}", "evaluation.primary.metric=sauc")).evaluation.primary.metric == "sauc"


@pytest.mark.parametrize(
    "typed", ["trainer.epoch=3", "ood.synthetic_ood.sigma=3", "trainer.epochs=many", "data=unheard_of"]
)
def test_wrong_keys_and_types_fail_on_composition(composed, typed):
    with pytest.raises(HydraException):
        composed(typed)


def test_paths_become_absolute(composed):
    assert resolved(composed("data.root=some/where")).data.root == str(Path.cwd() / "some/where")


def test_weights_are_a_file_or_a_name(composed):
    """A relative file would not be found from another folder; a name is no file."""
    for typed, expected in {
        "a.pth": f"{Path.cwd()}/a.pth",
        "sub/a": f"{Path.cwd()}/sub/a",
        "'~/a.pth'": str(Path("~/a.pth").expanduser()),
        "IMAGENET1K_V1": "IMAGENET1K_V1",
        "null": None,
    }.items():
        assert resolved(composed(f"model.backbone.weights={typed}")).model.backbone.weights == expected


def test_every_option_names_a_task_or_a_source_that_there_is(composed):
    assert options("task") == sorted(path.stem.rstrip("_") for path in (ROOT / "entreg/tasks").glob("[!_]*.py"))
    for option in options("task"):
        assert composed(f"task={option}").task.name == option
    for option in options("data"):
        config = resolved(composed(f"data={option}", "data.root=/data"))
        sources.check(config.data, "data")
        assert type(config.data).__module__ == f"entreg.data.sources.{config.data.source}"


def test_by_degree_foreign_sets_come_to_the_training_sets_pixels(composed):
    c = resolved(composed("data=osie", "ood=[mit1003]", "data.geometry=degrees"))
    assert (c.data.px_per_degree, c.ood["mit1003"].px_per_degree) == (24, 35)
    assert c.data.model_px_per_degree == c.ood["mit1003"].model_px_per_degree == 24
    assert c.ood["mit1003"].geometry == "degrees"
    c = resolved(composed("data=osie", "ood=[mit1003]", "data.geometry=degrees", "data.model_px_per_degree=35"))
    assert c.data.model_px_per_degree == c.ood["mit1003"].model_px_per_degree == 35
    assert resolved(composed("data=osie", "ood=[mit1003]")).ood["mit1003"].model_px_per_degree is None


@pytest.mark.parametrize(
    "typed, said",
    [
        (
            ("data=osie", "ood=[scene50]", "data.geometry=degrees"),
            "ood.scene50.px_per_degree=None is out of range: geom",
        ),
        (
            ("data=synthetic", "ood=[]", "data.geometry=degrees"),
            "data.px_per_degree=None is out of range: geometry=deg",
        ),
        (
            ("data=osie", "ood=[mit1003]", "ood.mit1003.geometry=degrees"),
            "ood.mit1003.geometry=degrees is out of range:",
        ),
        (
            ("data=osie", "ood=[mit1003]", "data.geometry=degrees", "ood.mit1003.geometry=crop"),
            "ood.mit1003.geometry=crop is out of range: model_px_per_degree needs geometry=degrees,",
        ),
        (
            ("data=osie", "ood=[]", "data.model_px_per_degree=35"),
            "data.geometry=stretch is out of range: model_px_per_deg",
        ),
    ],
)
def test_what_is_no_visual_angle_is_refused_with_the_settings_name(composed, typed, said):
    with pytest.raises(SettingError) as error:
        check(composed(*typed))
    assert str(error.value).startswith(said)
