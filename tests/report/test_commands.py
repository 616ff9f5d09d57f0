"""What to type to repeat a study, read back from the folders of its runs."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from entreg.errors import DataError
from entreg.report.commands import command_of, commit_of, repeat
from entreg.runs.folder import RunFolder, SweepFolder

EVALUATE = "python train.py task=evaluate"


def job(place: Path, *typed: str, commit: str | None = "aaaa", clean: bool = True) -> RunFolder:
    """The folder of a job with what was typed for it and the commit that it was started at."""
    folder = RunFolder(place)
    folder.typed.parent.mkdir(parents=True)
    OmegaConf.save(list(typed), folder.typed)
    folder.add_start({"git_commit": commit, "git_clean": clean})
    return folder


def sweep(place: Path, *typed: str, jobs: int, commit: str = "aaaa") -> list[RunFolder]:
    """The folders of a sweep's jobs, each of which knows its own words and the sweep all of them."""
    runs = [job(place / str(number), f"seed={number}", commit=commit) for number in range(jobs)]
    OmegaConf.save({"hydra": {"overrides": {"task": list(typed)}}}, SweepFolder(place).multirun)
    return runs


def test_a_command_is_what_was_typed_fit_for_a_shell(tmp_path):
    run = job(tmp_path / "0", "loss=nll", "uniform.levels=[0,0.5]")
    assert command_of(run) == "python train.py loss=nll 'uniform.levels=[0,0.5]'"
    assert command_of(RunFolder(tmp_path / "gone")) is None


@pytest.mark.parametrize(
    "word",
    ["+x=1", "hydra.callbacks.x=1", "a b", "loss.x=1\nid"],
)
def test_words_of_unknown_origin_that_are_no_settings_are_never_a_command(tmp_path, word):
    """Of a word with a line end only the first line would be a comment."""
    command = command_of(job(tmp_path / "0", "loss=nll", word))
    assert command is not None
    if word.startswith("loss.x"):
        assert command == "python train.py loss=nll 'loss.x=1\nid'"  # a setting, and quoted
    else:
        assert command == f"# no command is shown, since it holds a word that is no setting of entreg: {word!r}"


@pytest.mark.parametrize(
    "word",
    [
        "task._target_=os.system",
        "hydra.launcher._target_=x",
        "allow=[os]",
        "++allow=[os]",
        "+loss.x={_target_:os.system}",
    ],
)
def test_words_of_unknown_origin_that_call_code_are_never_a_command(tmp_path, word):
    command = command_of(job(tmp_path / "0", "loss=nll", word))
    assert command == f"# no command is shown, since it calls code of another package: {word!r}"


@pytest.mark.parametrize(
    "word",
    [
        "experiment=[osie,real]",
        "+data@ood.mylab=folder",
        "~ood.cat2000",
        "ood.my-lab.root=/a b",
        "hydra/launcher=submitit_slurm",
        "hydra.launcher.partition=gpu",
        "hydra.sweep.subdir=s${seed}",
        "++trainer.epochs=1",
    ],
)
def test_words_that_people_type_are_settings(tmp_path, word):
    assert command_of(job(tmp_path / "0", word)) == shlex.join(["python", "train.py", word])


@pytest.mark.parametrize("commit", ["abc; echo X #", "HEAD", "", "abc"])
def test_a_commit_that_is_none_is_refused(tmp_path, commit):
    run = job(tmp_path / "0", "loss=nll", commit=commit or " ")
    with pytest.raises(DataError, match="git_commit is no commit"):
        commit_of(run)


def test_a_sweep_is_repeated_by_its_own_command_once(tmp_path):
    runs = sweep(tmp_path / "arms", "loss=nll,nll_entropy", "seed=0,1", jobs=4)
    evaluation = job(tmp_path / "eval", "task=evaluate")
    swept = "python train.py -m loss=nll,nll_entropy seed=0,1"
    assert repeat(runs, evaluation) == ["git checkout aaaa", swept, EVALUATE]


def test_runs_of_two_sweeps_and_one_without_are_each_repeated(tmp_path):
    runs = [
        *sweep(tmp_path / "a", "seed=0,1", jobs=2),
        *sweep(tmp_path / "b", "seed=2,3", jobs=2),
        job(tmp_path / "single/run", "loss=nll"),
    ]
    commands = repeat(runs, job(tmp_path / "eval", "task=evaluate"))
    assert commands[1:-1] == ["python train.py -m seed=0,1", "python train.py -m seed=2,3", "python train.py loss=nll"]


def test_an_evaluation_at_another_commit_is_repeated_there(tmp_path):
    runs = [job(tmp_path / "0", "seed=0"), job(tmp_path / "1", "seed=1")]
    evaluation = job(tmp_path / "eval", "task=evaluate", commit="bbbb")
    trained = ["git checkout aaaa", "python train.py seed=0", "python train.py seed=1"]
    assert repeat(runs, evaluation) == [*trained, "git checkout bbbb", EVALUATE]
    evaluation.add_start({"git_commit": "aaaa"})
    assert repeat(runs, evaluation) == [*trained, EVALUATE]


def test_runs_of_several_commits_are_not_said_to_be_of_one(tmp_path):
    runs = [job(tmp_path / "0", "seed=0"), job(tmp_path / "1", "seed=1", commit="bbbb")]
    commands = repeat(runs, job(tmp_path / "eval", "task=evaluate"))
    assert commands == ["python train.py seed=0", "python train.py seed=1", "git checkout aaaa", EVALUATE]


def test_without_git_and_without_what_was_typed_the_evaluation_is_left(tmp_path):
    assert repeat([RunFolder(tmp_path / "gone")], RunFolder(tmp_path)) == [EVALUATE]


@pytest.mark.parametrize(
    "starts, said",
    [
        ([], None),
        ([(None, True)], None),
        ([("f" * 40, True)], "ffffffffff"),
        ([("f" * 40, False)], "ffffffffff with uncommitted changes"),
        (
            [("f" * 40, True), ("f" * 40, True), ("a" * 40, False)],
            "ffffffffff, then aaaaaaaaaa with uncommitted changes",
        ),
    ],
)
def test_every_commit_that_a_run_was_trained_with_is_said_once(tmp_path, starts, said):
    folder = RunFolder(tmp_path)
    for commit, clean in starts:
        folder.add_start({"git_commit": commit, "git_clean": clean})
    assert commit_of(folder) == said
