"""Trainings side by side: each as if it were alone, whoever leaves, and to the same bits after a kill."""
from __future__ import annotations

import dataclasses

import pytest
import torch

from entreg.errors import NonFiniteLoss
from entreg.ranks import Ranks, Stopped
from entreg.run.folder import RunFolder
from entreg.settings import resolved
from entreg.study.study import Stages, Study
from entreg.train.company import Company, Slot
from entreg.train.trainer import Trainer
from tests.conftest import SMALL
from tests.train.test_trainer import AskedToStop, history, one_thread, parameters  # noqa: F401

# what runs that are trained together may differ in: loss, seed of the weights, learning rate, length, initial blur
MEMBERS = {
    "baseline": ("loss=nll",),
    "strong": ("loss=nll_entropy", "loss.lambda_entropy=3", "loss.every=1"),
    "rare": ("loss=nll_entropy", "loss.every=3", "seed=1", "optim.lr=0.01", "loss.aggregation=entropy_of_mean"),
    "short": ("loss=nll_entropy", "loss.every=2", "seed=2", "trainer.epochs=1", "loss.center_bias=uniform"),
    "pooled": ("loss=nll", "seed=3", "loss.mean_over=fixations", "model.sigma_px=6"),
}


@pytest.fixture(scope="module")
def stages() -> Stages:
    return Stages(Ranks())


@pytest.fixture
def trainer_of(composed, store, stages, tmp_path):
    def build(name: str, place: str, *words: str) -> Trainer:
        common = (*SMALL, f"paths.store={store}", "hardware=cpu", "trainer.epochs=2", "trainer.order_seed=5")
        config = resolved(composed(*common, *MEMBERS[name], *words))
        return Trainer(Study(config, stages), RunFolder(tmp_path / place / name))

    return build


def finished(company: Company) -> list[str]:
    return [trainer.folder.path.name for trainer in company.run()]


def assert_same(found: Trainer, expected: Trainer, bits: bool) -> None:
    ours, theirs = parameters(found), parameters(expected)
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=0 if bits else 1e-5)
    assert len(found.steps) == len(expected.steps)
    for a, b in zip(found.steps, expected.steps, strict=True):
        assert a["nll_nats"] == (b["nll_nats"] if bits else pytest.approx(b["nll_nats"], abs=1e-6))
        assert (a["bias_entropy_nats"] is None) == (b["bias_entropy_nats"] is None)
    if bits:
        assert history(found) == history(expected)


def test_a_runs_result_does_not_depend_on_its_company(trainer_of):
    company = {name: trainer_of(name, "company") for name in MEMBERS}
    done = finished(Company([one.slot for one in company.values()]))
    assert done == ["short", "baseline", "strong", "rare", "pooled"]
    for name, one in company.items():
        alone = trainer_of(name, "alone")
        alone.run()
        assert_same(one, alone, bits=False)


def test_a_company_that_was_stopped_goes_on_to_the_same_bits(trainer_of):
    """In its second epoch, when one member has finished: its place stays empty. Another was saved an epoch later."""
    undisturbed = {name: trainer_of(name, "undisturbed") for name in MEMBERS}
    finished(Company([one.slot for one in undisturbed.values()]))
    steps = len(undisturbed["short"].steps)

    company = Company([trainer_of(name, "stopped").slot for name in MEMBERS])
    company.ranks = dataclasses.replace(company.ranks, stop=AskedToStop(steps + 1))
    with pytest.raises(Stopped):
        finished(company)
    ahead = trainer_of("rare", "stopped")
    ahead.folder.last.write_bytes(undisturbed["rare"].folder.last.read_bytes())

    names = [name for name in MEMBERS if name != "short"]
    resumed = {name: trainer_of(name, "stopped") for name in names}
    blank = trainer_of("short", "stopped")
    slots = [resumed[name].slot if name in resumed else Slot(blank.blank_model(), blank.config.loss, None)
             for name in MEMBERS]
    finished(Company(slots))
    for name in names:
        assert_same(resumed[name], undisturbed[name], bits=True)


def test_one_that_is_not_finite_leaves_and_the_others_go_on_to_the_same_bits(trainer_of):
    undisturbed = {name: trainer_of(name, "undisturbed") for name in MEMBERS}
    finished(Company([one.slot for one in undisturbed.values()]))
    company = {name: trainer_of(name, "company") for name in MEMBERS}
    with torch.no_grad():
        company["strong"].model.saliency_network.conv0.weight[0] = float("nan")
    left = {}
    slots = [one.slot for one in company.values()]
    done = finished(Company(slots, lambda trainer, error: left.update({trainer.folder.path.name: error})))
    assert sorted(done) == ["baseline", "pooled", "rare", "short"]
    assert isinstance(left["strong"], NonFiniteLoss) and "(step 0)" in str(left["strong"])
    for name in done:
        assert_same(company[name], undisturbed[name], bits=True)
