"""What is read of a finished run, and that nothing of its folder is run."""

from __future__ import annotations

import sys

import pytest
import torch
from omegaconf import OmegaConf

import entreg
from entreg.config import Primary
from entreg.config.settings import resolved
from entreg.errors import DataError, SettingError, UserError
from entreg.io.sums import sums_of
from entreg.runs import checkpoint
from entreg.runs.folder import RunFolder
from entreg.study.finished_run import read, typed_keys
from tests.evaluation.photos import HISTORY

STATE = {"model": {"weight": torch.zeros(1)}, "history": HISTORY, "fingerprints": {}}


@pytest.fixture
def typed(composed):
    """typed(*words): the config of an evaluation for which these words were typed, and the keys of the words."""
    return lambda *words: (resolved(composed(*words)), typed_keys(words))


@pytest.fixture
def saved(composed, tmp_path):
    """saved(*words): the folder of a finished run of this config."""

    def folder(*words: str) -> RunFolder:
        place = RunFolder(tmp_path / "run")
        place.write_config(resolved(composed(*words, "study=s")))
        checkpoint.write(place.final, STATE)
        return place

    return folder


def test_what_a_run_was_trained_with_counts_and_what_is_typed_replaces_it(saved, typed):
    folder = saved("loss=nll_entropy", "data.images=40", "ood.synthetic_ood.limit=7", "prior.gaussian_nu=0.5")
    run = read(
        folder, *typed("task=evaluate", "data.sigma_px=9", "prior.gaussian_nu=0.4", "ood.synthetic_ood.sample=3")
    )
    assert run.config.loss.name == "nll_entropy" and run.config.data.images == 40
    assert (run.config.data.sigma_px, run.config.prior.gaussian_nu) == (9, 0.4)
    assert (run.config.ood["synthetic_ood"].limit, run.config.ood["synthetic_ood"].sample) == (7, 3)
    assert (run.config.task.name, run.config.study) == ("train", "s")


@pytest.mark.parametrize(
    "word, sets",
    [
        ("ood=[osie,scene50]", ["osie", "scene50"]),
        ("ood=[]", []),
        ("+data@ood.lab=folder", ["synthetic_ood", "lab"]),
    ],
)
def test_typed_foreign_sets_replace_or_join_those_of_the_run(saved, typed, word, sets):
    config = read(saved(), *typed("task=evaluate", word)).config
    assert sorted(config.ood) == sorted(sets)
    assert all(settings.name == name for name, settings in config.ood.items())


def test_only_the_store_of_this_job_is_written_to(saved, typed, tmp_path, caplog):
    """The folder may be somebody else's; what lay in its store is expected, or drawn, in this job's."""
    caplog.set_level("INFO")
    folder = saved(f"paths.store={tmp_path}/theirs", "ood=[synthetic_ood,osie]")
    config = read(folder, *typed("task=evaluate", f"paths.store={tmp_path}/mine")).config
    assert config.paths.store == f"{tmp_path}/mine"
    assert config.data.root == config.ood["synthetic_ood"].root == f"{tmp_path}/mine/synthetic"
    assert config.ood["osie"].root is not None and config.ood["osie"].root.endswith("/data/osie")
    assert f"its features were in {tmp_path}/theirs, those of this job are in {tmp_path}/mine" in caplog.text


def test_all_data_may_have_moved(saved, typed, tmp_path):
    folder = saved("data=osie", "ood=[scene50,folder]", f"paths.data={tmp_path}/then", "ood.folder.root=/mine")
    config = read(folder, *typed("task=evaluate", f"paths.data={tmp_path}/now")).config
    roots = config.data.root, config.ood["scene50"].root, config.ood["folder"].root
    assert roots == (f"{tmp_path}/now/osie", f"{tmp_path}/now/scene50", "/mine")


def test_the_devices_are_this_evaluations(saved, typed):
    """Whether they were typed or not: the machine that evaluates may be another one."""
    folder = saved("hardware=gpu4", "hardware.threads=4")
    assert folder.read_config()["hardware"]["devices"] == 4
    found = read(folder, *typed("task=evaluate")).config.hardware
    assert (found.name, found.kind, found.devices, found.threads) == ("gpu4", "auto", None, None)
    found = read(folder, *typed("task=evaluate", "hardware=cpu", "hardware.threads=1")).config.hardware
    assert (found.kind, found.devices, found.threads) == ("cpu", 1, 1)


def test_a_setting_that_a_saved_config_lacks_has_its_default(saved, typed):
    folder = saved("loss=nll_entropy")
    tree = OmegaConf.load(folder.config)
    for group, name in (("loss", "center_bias"), ("hardware", "convolution"), ("evaluation", "primary")):
        del tree[group][name]
    OmegaConf.save(tree, folder.config)
    config = read(folder, *typed("task=evaluate")).config
    assert (config.loss.center_bias, config.hardware.convolution) == ("model", "auto")
    assert config.evaluation.primary == Primary()


def test_a_data_source_that_nobody_knows_is_named_and_not_imported(saved, typed):
    folder = saved()
    tree = OmegaConf.load(folder.config)
    tree.data.source = "os.system"
    OmegaConf.save(tree, folder.config)
    with pytest.raises(DataError, match=rf"{folder.config}: os.system is not a data source of this version of entreg"):
        read(folder, *typed("task=evaluate"))


def test_a_loss_that_is_no_longer_there_is_named_with_those_that_are(saved, typed):
    folder = saved()
    tree = OmegaConf.load(folder.config)
    tree.loss.name = "nll_peak"
    OmegaConf.save(tree, folder.config)
    with pytest.raises(
        DataError, match=rf"{folder.config}: nll_peak is not a loss .*\(nll, nll_entropy, nll_regulariser\)$"
    ):
        read(folder, *typed("task=evaluate"))


def test_a_folder_from_elsewhere_runs_none_of_its_code(saved, typed, tmp_path, monkeypatch):
    """A loader that lies in the folder itself, which is in the search path where someone works in it."""
    folder = saved()
    (tmp_path / "run/evil.py").write_text("import pathlib\npathlib.Path('was_here').touch()\ndef load(_): 1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path / "run"))
    monkeypatch.chdir(tmp_path)
    for key, said in (
        ("data.source", "evil is not a data source"),
        ("ood.synthetic_ood.source", "evil is not a data source"),
        ("data._target_", "does not fit this version of entreg: Key '_target_' not in 'Settings'"),
        ("ood.synthetic_ood._target_", "does not fit this version of entreg: Key '_target_' not in 'Settings'"),
        ("task._target_", "does not fit this version of entreg: Key '_target_' not in 'Task'"),
    ):
        tree = OmegaConf.load(folder.config)
        OmegaConf.update(tree, key, "evil", force_add=True)
        OmegaConf.save(tree, folder.config)
        with pytest.raises(DataError, match=said):
            read(folder, *typed("task=evaluate"))
        saved()
    assert not (tmp_path / "was_here").exists() and "evil" not in sys.modules


def test_a_backbone_of_another_package_is_called_where_this_job_allows_it(saved, typed, tmp_path, monkeypatch, caplog):
    """What the folder itself allows does not count; a regulariser is not called again, and needs no leave."""
    folder = saved("loss=nll_regulariser")
    (tmp_path / "run/evil.py").write_text("import pathlib\npathlib.Path('was_here').touch()\ndef load(): 1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path / "run"))
    monkeypatch.chdir(tmp_path)
    tree = OmegaConf.load(folder.config)
    tree.allow, tree.loss.regulariser = ["evil"], {"_target_": "evil.load"}
    OmegaConf.save(tree, folder.config)
    assert read(folder, *typed("task=evaluate")).config.allow == []
    tree.model.backbone.update(name="theirs", module={"_target_": "evil.load"}, weights=None)
    OmegaConf.save(tree, folder.config)
    said = r"^model.backbone.module: evil.load is code of the package evil, .*: allow=\[evil\]"
    with pytest.raises(SettingError, match=said):
        read(folder, *typed("task=evaluate", "allow=[other]"))
    with pytest.raises(SettingError, match=said):
        entreg.load(folder.path)
    folder.add_start({"called_packages": {"evil": "0.1"}})
    assert read(folder, *typed("task=evaluate", "allow=[evil]")).config.allow == ["evil"]
    assert f"{folder} was trained with evil 0.1, and evil unknown is installed" in caplog.text
    assert not (tmp_path / "was_here").exists() and "evil" not in sys.modules


def test_a_source_of_ones_own_may_be_typed(saved, typed):
    """What a person types is that person's code."""
    folder = saved()
    tree = OmegaConf.load(folder.config)
    tree.data.source = "mylab"
    OmegaConf.save(tree, folder.config)
    with pytest.raises(DataError, match=r"mylab is not a data source .*\n +it is one of your own +type it: data="):
        read(folder, *typed("task=evaluate"))
    assert read(folder, *typed("task=evaluate", "data=osie")).config.data.name == "osie"


def test_a_typed_set_is_taken_away_and_settings_of_one_that_is_not_there_are_refused(saved, typed):
    folder = saved("data=osie", "ood=[scene50,osie]")
    assert list(read(folder, *typed("task=evaluate", "ood=[scene50,osie]", "~ood.osie")).config.ood) == ["scene50"]
    with pytest.raises(
        UserError, match=r"not started with synthetic_ood. To evaluate them on it: ood=\[synthetic_ood\]"
    ):
        read(folder, *typed("task=evaluate", "ood.synthetic_ood.limit=5"))
    config = read(folder, *typed("task=evaluate", "ood.synthetic_ood.limit=5", "ood=[synthetic_ood]")).config
    assert config.ood["synthetic_ood"].limit == 5


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"history": []}, "its history is missing"),
        ({"history": [{"epoch": 1}]}, "its history is missing or has other"),
        ({"history": [HISTORY[0] | {"lr": float("nan")}]}, "its history"),
        ({"history": [HISTORY[0] | {"lr": "1"}]}, "its"),
        ({"model": {}, "fingerprints": None}, "it has no fingerprints"),
        ({"fingerprints": {"data": 1}}, "it has no fing"),
        ({"file_sums": {"plan.json": 1}}, "its sums of files are none"),
        ({"model": [1]}, "its parameters are missing"),
        ({"model": {"weight": torch.tensor([float("inf")])}}, "its parameters are missing or not finite"),
    ],
    ids=str,
)
def test_a_checkpoint_that_holds_anything_else_is_named(saved, typed, changed, said):
    folder = saved()
    checkpoint.write(folder.final, STATE | changed)
    with pytest.raises(DataError, match=rf"^{folder.final}: is not the final checkpoint of a training: {said}"):
        read(folder, *typed("task=evaluate"))


def test_typed_keys_are_those_of_the_settings(typed):
    words = ["task=evaluate", "+data@ood.lab=folder", "ood.lab.root=a@b", "evaluation.primary.domain=in_domain"]
    assert typed_keys(words) == ["task", "ood.lab", "ood.lab.root", "evaluation.primary.domain"]


def test_nothing_was_typed_where_hydra_did_not_start_the_job():
    assert typed_keys(None) == []


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("loss.every", 0, "loss.every=0 is out of range: "),
        ("data.root", "A" * 300, "data.root=AAA.* is out of range: "),
        ("model.backbone.taps", ["conv1^2"], r"model.backbone.taps=\['conv1\^2'\]: "),
    ],
)
def test_a_saved_setting_that_cannot_be_is_named_with_its_file(saved, typed, key, value, said):
    folder = saved()
    tree = OmegaConf.load(folder.config)
    OmegaConf.update(tree, key, value)
    OmegaConf.save(tree, folder.config)
    with pytest.raises(DataError, match=rf"^{folder.config}: {said}.*; restore it, or leave"):
        read(folder, *typed("task=evaluate"))


def test_files_that_tell_how_a_run_came_about_are_held_against_the_checkpoint_s_sums(saved, typed):
    folder = saved()
    for path in folder.sealed:
        path.parent.mkdir(exist_ok=True)
        path.write_text("version: 0.3.0")
    checkpoint.write(folder.final, STATE | {"file_sums": sums_of(folder.path, folder.sealed)})
    for path in folder.sealed:
        read(folder, *typed("task=evaluate"))
        path.write_text("version: 0.3.1")  # a digit
        with pytest.raises(DataError, match=rf"^{path} was changed after the training: its SHA-256 in final.pt is"):
            read(folder, *typed("task=evaluate"))
        path.write_text("version: 0.3.0")
    folder.plan.unlink()  # then nothing counts as planned
    read(folder, *typed("task=evaluate"))
    folder.provenance.unlink()
    with pytest.raises(DataError, match=rf"^{folder.provenance} is missing after the training"):
        read(folder, *typed("task=evaluate"))


def test_a_saved_config_is_held_against_the_checkpoint_s(saved, typed):
    """It is a text that has no checksum, and models are built from it."""
    folder = saved()
    text = folder.config.read_text()
    kept = OmegaConf.to_container(OmegaConf.create(text))
    checkpoint.write(folder.final, STATE | {"config": kept})
    assert read(folder, *typed("task=evaluate")).config.model.sigma_px == 8.0
    # moved to another place, and read there
    kept["paths"]["store"], kept["data"]["root"] = "/elsewhere", "/elsewhere/osie"
    kept["hardware"]["memory_gb"] = 7
    checkpoint.write(folder.final, STATE | {"config": kept})
    read(folder, *typed("task=evaluate"))
    folder.config.write_text(text.replace("sigma_px: 8.0", "sigma_px: 9.0"))
    with pytest.raises(DataError, match=r"config.yaml was changed after the training: model.sigma_px is not"):
        read(folder, *typed("task=evaluate"))


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("seed", torch.zeros(2), "its config holds other things than settings"),
        ("task", {"_target_": ["a list"]}, "its copy of the config cannot be read"),
    ],
)
def test_a_checkpoint_whose_config_is_damaged(saved, typed, key, value, reason):
    folder = saved()
    kept = OmegaConf.to_container(OmegaConf.create(folder.config.read_text()))
    checkpoint.write(folder.final, STATE | {"config": kept | {key: value}})
    with pytest.raises(DataError, match=rf"^{folder.final}: .*{reason}.*; restore it, or leave"):
        read(folder, *typed("task=evaluate"))
