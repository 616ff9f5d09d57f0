"""A training in a script is that of the command line."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest
import torch

import entreg
from entreg.errors import SettingError
from entreg.runs import checkpoint
from entreg.runs.folder import RunFolder
from tests import several_sets
from tests.library.conftest import Study


def test_what_it_returns_is_what_the_folder_holds(made: Study):
    run = made.regularised
    with RunFolder(run.folder).metrics.open() as file:
        rows = list(csv.DictReader(file))
    assert [dataclasses.asdict(epoch) for epoch in run.epochs] == [
        {key: float(value) for key, value in row.items()} for row in rows
    ]
    assert len(rows) == 2 and run.config.loss.name == "nll_entropy"
    frame = run.to_pandas()
    assert list(frame.columns) == [field.name for field in dataclasses.fields(entreg.Epoch)]
    assert frame["epoch"].tolist() == [1, 2]


def test_the_command_line_trains_the_same_to_the_bit_and_goes_on_with_it(made: Study, small, command, tmp_path):
    words = ["loss=nll_entropy", *small]
    done = command(*words, "study=typed", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    typed, ours = (
        checkpoint.read(RunFolder(folder).final)["model"]
        for folder in (tmp_path / "outputs/typed", made.regularised.folder)
    )
    assert typed.keys() == ours.keys() and all(torch.equal(typed[name], ours[name]) for name in typed)
    again = entreg.train(words, folder=tmp_path / "outputs/typed")
    assert again.epochs[-1].train_nll_nats == made.regularised.epochs[-1].train_nll_nats


def test_a_composed_job_is_trained_once_and_then_returned(made: Study, small):
    folder = RunFolder(made.baseline.folder)
    before = folder.final.stat().st_mtime_ns
    again = entreg.train(entreg.compose(["loss=nll", *small]), folder=made.baseline.folder)
    assert again.epochs == made.baseline.epochs and folder.final.stat().st_mtime_ns == before
    with pytest.raises(SettingError, match="holds a run of another config; these settings differ: trainer.epochs"):
        entreg.train(["loss=nll", *small, "trainer.epochs=3"], folder=made.baseline.folder)


def test_the_run_predicts(made: Study):
    model = made.baseline.load(device="cpu")
    density = model.log_density(np.zeros((30, 40, 3), np.uint8))
    assert density.shape == (30, 40) and np.exp(density).sum() == pytest.approx(1)


def test_a_run_of_several_sets_tells_their_own_numbers(made: Study, store, tmp_path):
    words = several_sets.words(several_sets.NAMES, "model.per_set=[scale,spread]", "trainer.epochs=1")
    run = entreg.train([*words, f"paths.store={store}"], folder=tmp_path / "own")
    model = run.load(device="cpu", set="synthetic").model
    assert {*run.own_numbers} == {*several_sets.NAMES} and {*run.own_numbers["synthetic"]} == {"scale", "sigma_px"}
    assert model.finalizer.gauss.sigma.item() == run.own_numbers["synthetic"]["sigma_px"] != 8
    assert made.baseline.own_numbers == {}
