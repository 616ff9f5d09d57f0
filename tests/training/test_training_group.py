"""Trainings side by side: each gives its bits alone, whichever others finish or fail, also after a kill."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import pytest
import torch

from entreg.config.settings import resolved
from entreg.distributed.memory import AvailableMemory
from entreg.distributed.ranks import Stopped
from entreg.errors import NonFiniteLoss, SettingError
from entreg.features import preload
from entreg.runs.folder import RunFolder
from entreg.study.study import Study
from entreg.training.trainer import Trainer
from entreg.training.training_group import TrainingGroup
from tests.conftest import SMALL
from tests.training.test_trainer import AskedToStop, history, parameters, run  # noqa: F401

pytestmark = pytest.mark.usefixtures("one_thread")

# what runs that are trained together may differ in: loss, seed of the weights, learning rate, length, initial blur; and
# the version of the step, where one began elsewhere
MEMBERS = {
    "baseline": ("loss=nll",),
    "strong": ("loss=nll_entropy", "loss.lambda_entropy=3", "loss.every=1"),
    "rare": ("loss=nll_entropy", "loss.every=3", "seed=1", "optim.lr=0.01", "loss.aggregation=entropy_of_mean"),
    "short": ("loss=nll_entropy", "loss.every=2", "seed=2", "trainer.epochs=1", "loss.center_bias=uniform"),
    "pooled": ("loss=nll", "seed=3", "loss.mean_over=fixations", "model.sigma_px=6", "hardware.step=plain"),
}


@pytest.fixture
def trainer_of(composed, store, cache, tmp_path):
    def build(name: str, place: str, *words: str) -> Trainer:
        common = (*SMALL, f"paths.store={store}", "hardware=cpu", "trainer.epochs=2", "trainer.order_seed=5")
        config = resolved(composed(*common, *MEMBERS[name], *words))
        return Trainer(Study(config, cache), RunFolder(tmp_path / place / name))

    return build


def finished(group: TrainingGroup) -> list[str]:
    return [trainer.folder.path.name for trainer, _ in group.run()]


def assert_same(found: Trainer, expected: Trainer) -> None:
    """Parameters, every step and every epoch, to the bit."""
    ours, theirs = parameters(found), parameters(expected)
    assert [name for name, value in theirs.items() if not torch.equal(ours[name], value)] == []
    assert found.steps == expected.steps and history(found) == history(expected)


@pytest.fixture(scope="module")
def trained() -> dict[str, Trainer]:
    return {}


@pytest.fixture
def alone(trainer_of, trained):
    """Each of MEMBERS trained alone, by name; once for all tests."""
    for name in MEMBERS:
        if name not in trained:
            trained[name] = trainer_of(name, "alone")
            run(trained[name])
    return trained


def test_a_runs_result_does_not_depend_on_its_group(trainer_of, alone):
    """One of them finishes before the others."""
    trainers = {name: trainer_of(name, "group") for name in MEMBERS}
    assert finished(TrainingGroup([*trainers.values()])) == ["short", "baseline", "strong", "rare", "pooled"]
    for name, trainer in trainers.items():
        assert_same(trainer, alone[name])


def test_a_group_that_was_stopped_goes_on_to_the_same_bits(trainer_of, alone):
    """In its second epoch, when one member has finished. Another was saved an epoch later."""
    steps = len(alone["short"].steps)
    group = TrainingGroup([trainer_of(name, "stopped") for name in MEMBERS])
    group.ranks = dataclasses.replace(group.ranks, stop=AskedToStop(steps + 1))
    with pytest.raises(Stopped):
        finished(group)
    ahead = trainer_of("rare", "stopped")
    ahead.folder.last.write_bytes(alone["rare"].folder.last.read_bytes())

    resumed = {name: trainer_of(name, "stopped") for name in MEMBERS if name != "short"}
    finished(TrainingGroup([*resumed.values()]))
    for name, trainer in resumed.items():
        assert_same(trainer, alone[name])


def test_one_that_is_not_finite_leaves_and_the_others_go_on_to_the_same_bits(trainer_of, alone):
    trainers = {name: trainer_of(name, "group") for name in MEMBERS}
    with torch.no_grad():
        trainers["strong"].model.saliency_network.conv0.weight[0] = float("nan")
    failed = {}
    done = finished(
        TrainingGroup([*trainers.values()], lambda trainer, error: failed.update({trainer.folder.path.name: error}))
    )
    assert sorted(done) == ["baseline", "pooled", "rare", "short"]
    assert isinstance(failed["strong"], NonFiniteLoss) and "(step 0)" in str(failed["strong"])
    for name in done:
        assert_same(trainers[name], alone[name])


@pytest.mark.parametrize("threads", [2, 3])
def test_a_runs_result_does_not_depend_on_the_number_of_threads(trainer_of, alone, threads):
    torch.set_num_threads(threads)
    trainers = {name: trainer_of(name, "threads") for name in ("strong", "rare")}
    finished(TrainingGroup([*trainers.values()]))
    for name, trainer in trainers.items():
        assert_same(trainer, alone[name])


def shares_memory() -> bool:
    return "memfd:entreg-features" in Path("/proc/self/maps").read_text()


def test_where_features_are_held_does_not_change_a_bit(trainer_of, monkeypatch, caplog):
    """Mapped, in memory as asked for, in memory by itself, on a device (the processor stands in for it)."""
    step, seen = TrainingGroup.step, []

    def watched(group, members, number):
        stores = {
            *group.training.rows_read(),
            *group.validation.rows_read(),
            *(uniform.store for uniform in group.uniform.values()),
        }
        seen.append((sum(len(store.preloaded) for store in stores), shares_memory()))
        return step(group, members, number)

    monkeypatch.setattr(TrainingGroup, "step", watched)
    read = 15 + 5 + 2 * 4  # training, validation, uniform images of both orientations
    mapped = trainer_of("strong", "map", "store.hold=map")
    run(mapped)
    assert {*seen} == {(0, False)}

    def same(place: str, hold: str, expected: tuple[int, bool], line: str) -> None:
        seen.clear()
        caplog.clear()
        trainer = trainer_of("strong", place, f"store.hold={hold}")
        with caplog.at_level(logging.INFO):
            run(trainer)
        assert {*seen} == {expected} and line in caplog.text
        # the next run of a sweep has a copy of its own
        assert not any(store.preloaded for store in trainer.training.rows_read()) and not shares_memory()
        assert_same(trainer, mapped)

    same("memory", "memory", (read, True), "images are held in memory")
    monkeypatch.setattr(preload, "LOCAL", set())
    same("auto", "auto", (read, True), "images are held in memory")
    monkeypatch.setattr(preload, "available_memory", lambda: AvailableMemory(1000, "the control group x"))
    same("small", "auto", (0, False), "mapped and read ahead: more than half of the 0.00 GB that the control group x")
    with pytest.raises(SettingError, match=r"store\.hold=memory: .* more than half of the 0\.00 GB"):
        run(trainer_of("strong", "refused", "store.hold=memory"))
    monkeypatch.setattr(preload, "device_bytes", lambda device: 10**9)
    same("device", "memory", (read, False), "images are held in the memory of cpu (1.00 GB were free there)")


def test_trainings_side_by_side_hold_one_copy(trainer_of, monkeypatch):
    step, copies = TrainingGroup.step, set()

    def watched(group, members, number):
        lines = Path("/proc/self/maps").read_text().splitlines()
        copies.add((len(group.active), sum("memfd:entreg-features" in line for line in lines)))
        return step(group, members, number)

    monkeypatch.setattr(TrainingGroup, "step", watched)
    finished(TrainingGroup([trainer_of(name, "held", "store.hold=memory") for name in ("baseline", "strong", "short")]))
    assert copies == {(3, 1), (2, 1)}  # the short one finishes earlier
    assert not shares_memory()


@pytest.mark.slow
def test_ranks_that_share_features_train_to_the_same_bits(command, tmp_path):
    words = (*SMALL, "hardware=cpu", "hardware.threads=1", "hardware.devices=2", "trainer.epochs=2", "loss=nll_entropy")
    for hold in ("map", "memory"):
        done = command(*words, f"store.hold={hold}", f"hydra.run.dir={hold}", folder=tmp_path)
        assert done.returncode == 0, done.stderr
    assert "held in memory, one copy for 2 ranks" in done.stdout
    assert (tmp_path / "memory/steps.csv").read_text() == (tmp_path / "map/steps.csv").read_text()
    ours, theirs = (
        torch.load(tmp_path / f"{hold}/checkpoints/final.pt", weights_only=True)["model"] for hold in ("memory", "map")
    )
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
