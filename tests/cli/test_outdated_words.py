"""What words and YAML of version 0.2.0 are answered with."""

from __future__ import annotations

import pytest

from entreg.cli import outdated_words
from tests.conftest import ROOT

CONF = ROOT / "conf"
FOLDER = "entreg.data.sources.folder.load"
ALL_AT_ONCE = ": all foreign sets of one training (a sweep over them would train everything anew)"
ONE_TO_LEARN_FROM = (
    "type data=NAME, one data set to learn from; ood=[NAME,...] holds those that the model is also evaluated on"
)
OF_THE_SOURCES = ", NAME being a module of entreg/data/sources/"


@pytest.mark.parametrize(
    "word, instead",
    [
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
        *(
            (f"{plus}ood.{key}={value}", f"type ood.NAME.{key}=..., NAME being one of the foreign sets (ood=[NAME])")
            for plus in ("", "+", "++")
            for key, value in (("limit", 3), ("root", "/data/mine"), ("stimuli", "*.png"), ("limit", "3,5"))
        ),
        ("task._target_=entreg.evaluate.evaluation.evaluate", "type task=evaluate, a task is chosen by its name"),
        ("task._target_=os.system", "type task=NAME, a task is chosen by its name"),
        (f"data._target_={FOLDER}", "type data.source=folder"),
        (f"+ood.mine._target_={FOLDER}", "type ood.mine.source=folder"),
        ("data._target_=os.system", f"type data.source=NAME{OF_THE_SOURCES}"),
        (f"data._target_={FOLDER},os.system", f"type data.source=NAME{OF_THE_SOURCES}"),
        ("ood._target_=os.system", f"type ood.NAME.source=NAME{OF_THE_SOURCES}"),
    ],
)
def test_what_was_typed_once_is_answered_with_todays_form(word, instead):
    assert outdated_words.answer(["loss=nll", word, "seed=0,1"], CONF) == f"{word}: {instead}"


@pytest.mark.parametrize(
    "word",
    [
        "-m",
        "--config-dir=x",
        "ood=[a]",
        "ood=[a,b]",
        "ood=[]",
        "data=osie",
        "data=osie,scene50",
        "seed=0,1",
        "ood.scene50.limit=3",
        "ood.scene50.root=/data",
        "+data@ood.mine=folder",
        "ood.mine.root=/data",
        "+ood.mine={name:mine}",
        "~ood.scene50",
        "ood=[",
        "experiment=osie",
        "experiment=[osie,triage]",
        "experiment=none",
        "hydra.sweeper._target_=optuna.Sweeper",
        "data.source=folder",
        "task.name=train",
    ],
)
def test_what_is_typed_today_has_no_answer(word):
    assert outdated_words.answer([word], CONF) is None


@pytest.mark.parametrize(
    "option, text, instead",
    [
        ("data/mine", f"_target_: {FOLDER}\nname: mine", f"`_target_: {FOLDER}` is now `source: folder`"),
        ("data/own", "# mine\n_target_: 'mylab.load'", f"`_target_: mylab.load` is now `source: NAME`{OF_THE_SOURCES}"),
        ("ood/mine", f"mine: {{_target_: {FOLDER}, name: mine}}", f"`_target_: {FOLDER}` is now `source: folder`"),
        ("experiment/e", f"data:\n  _target_: {FOLDER}", f"`_target_: {FOLDER}` is now `source: folder`"),
        (
            "task/train",
            "_target_: entreg.train.trainer.train\nname: train",
            "remove `_target_: entreg.train.trainer.train`; `name: train` alone now chooses the task, the function "
            "train of entreg/tasks/train.py",
        ),
        (
            "task/count",
            "_target_: entreg.count.count\nname: count",
            "remove `_target_: entreg.count.count`; `name: NAME` alone now chooses the task, the function NAME of "
            "entreg/tasks/NAME.py",
        ),
    ],
)
def test_yaml_of_version_0_2_0_is_answered_with_its_file(tmp_path, option, text, instead):
    path = tmp_path / f"{option}.yaml"
    path.parent.mkdir()
    path.write_text(text)
    assert outdated_words.answer([], tmp_path) == f"{path}: {instead}"
    for words in ([f"--config-dir={tmp_path}"], ["--config-dir", str(tmp_path)], ["-cd", str(tmp_path), "seed=1"]):
        assert outdated_words.answer(words, CONF) == f"{path}: {instead}"


def test_each_file_has_a_line_and_what_hydra_makes_is_left_alone(tmp_path):
    for name, text in {
        "data/a": f"_target_: {FOLDER}",
        "data/b": f"_target_: {FOLDER}",
        "data/c": f"# _target_: {FOLDER}",
        "experiment/e": "hydra: {sweeper: {_target_: mine.Sweeper}}",
        "hydra/launcher/l": "_target_: mine.Launcher",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.yaml").write_text(text)
    answered = outdated_words.answer([], tmp_path).splitlines()
    assert [line.partition(":")[0] for line in answered] == [f"{tmp_path}/data/{name}.yaml" for name in "ab"]
