"""Words that are answered or rewritten before Hydra parses the command line."""

from __future__ import annotations

import pytest

from entreg.cli import arguments


def test_the_first_word_may_name_a_task_and_the_second_its_folder():
    assert arguments.expanded(["evaluate"]) == ["task=evaluate"]
    assert arguments.expanded(["evaluate", "multirun/a b", "seed=1"]) == [
        "task=evaluate",
        "runs='multirun/a b'",
        "seed=1",
    ]
    assert arguments.expanded(["predict", "outputs/mine", "images=photos"]) == [
        "task=predict",
        "run='outputs/mine'",
        "images=photos",
    ]
    assert arguments.expanded(["verify", "multirun/a"]) == ["task=verify", "runs='multirun/a'"]
    assert arguments.expanded(["train", "loss=nll"]) == ["task=train", "loss=nll"]


@pytest.mark.parametrize("words", [[], ["loss=nll"], ["-m", "evaluate"], ["evaluate=1"]])
def test_all_other_words_stay_as_they_are(words):
    assert arguments.expanded(words) == words


def test_help_all_is_hydras_own_help():
    assert arguments.expanded(["loss=nll", "--help=all"]) == ["loss=nll", "--help"]


def test_the_version_is_answered_and_other_words_are_not():
    answer = arguments.answer(["loss=nll", "--version"])
    assert answer.startswith("entreg ") and ", torch " in answer
    assert arguments.answer(["loss=nll"]) is None


def test_help_fits_a_screen_and_names_every_group_of_conf():
    lines = arguments.answer(["--help"]).splitlines()
    assert len(lines) <= 40
    for group in ("data", "task", "loss", "experiment"):
        assert any(line.startswith(f"  {group}=") for line in lines)
