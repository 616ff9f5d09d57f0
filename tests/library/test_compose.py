"""A config in a script is that of the command line, and is changed by words alone."""

from __future__ import annotations

import re

import pytest

import entreg
from entreg.config.settings import resolved
from entreg.errors import SettingError
from entreg.library.compose import words_of


def test_it_is_the_config_of_the_command_line(composed):
    words = ["loss=nll_entropy", "loss.lambda_entropy=3", "study=mine"]
    job = entreg.compose(words)
    assert job.overrides == tuple(words) and job.config == resolved(composed(*words))
    assert job.config.loss.lambda_entropy == 3


@pytest.mark.parametrize(
    "word, said",
    [
        ("loss=nothing", "loss=nothing: the options are nll, nll_entropy"),
        ("trainer.epoch=3", "trainer.epoch is no setting; near it is trainer.epochs"),
        ("trainer.epochs=0", "trainer.epochs=0 is out of range: "),
        ("seed=0,1", "seed=0,1: this is a sweep; call it once for each value of seed"),
        ("experiment=lambda_sweep", "experiment=lambda_sweep: this is a sweep; give the words of one of its jobs"),
        ("hydra/launcher=together", "hydra/launcher=together: this is for jobs of the command line"),
        ("ood=scene50,osie", "ood=scene50,osie: type ood=[scene50,osie]"),
        ("data=osie", "A training on osie needs its weights and foreign sets to be chosen"),
        ("--multirun", "--multirun: options with a hyphen are for the command line"),
    ],
)
def test_a_wrong_word_is_refused_with_what_there_is_instead(word, said):
    with pytest.raises(SettingError, match=re.escape(said)):
        entreg.compose([word])


@pytest.mark.parametrize("overrides", ["seed=1", [1], ["seed=1", None]])
def test_overrides_are_a_list_of_words(overrides):
    with pytest.raises(SettingError, match=r"overrides are a list of words, such as \['loss=nll_entropy', 'seed=1'\]"):
        entreg.compose(overrides)


def test_the_folder_is_one_of_the_words_whatever_its_name():
    words = words_of(entreg.compose(["seed=1"]), "/a/it's ${b}, [c]=d")
    assert words == ["seed=1", r"hydra.run.dir='/a/it\'s \${b}, [c]=d'"]
    assert words_of(["seed=2"], None) == ["seed=2"]


def test_a_config_that_was_changed_is_refused_with_the_word_to_give():
    job = entreg.compose(["seed=1"])
    assert words_of(job, None) == ["seed=1"]
    job.config.trainer.epochs = 3
    with pytest.raises(SettingError, match=r"^trainer.epochs changed .* compose\(\[..., 'trainer.epochs=VALUE'\]\)$"):
        words_of(job, None)
