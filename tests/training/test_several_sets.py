"""Trainings on several sets: their order means nothing, one alone is as without the word, and sums are as they say."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from entreg.config.settings import resolved
from entreg.distributed.ranks import Stopped
from entreg.training import batches
from entreg.training.training_group import TrainingGroup
from tests import several_sets
from tests.training.test_trainer import AskedToStop, history, plain_nll_nats, run
from tests.training.test_training_group import assert_same

pytestmark = pytest.mark.usefixtures("one_thread")

FIRST, SECOND = several_sets.NAMES


def test_the_order_of_the_sets_changes_nothing(composed):
    there, back = (
        resolved(composed(*several_sets.words(names), "study=s")) for names in ((FIRST, SECOND), (SECOND, FIRST))
    )
    assert there == back and [*there.sets] == [*back.sets] and there.data is there.sets[FIRST]


def test_one_set_alone_gives_the_bits_of_data(trainer_of):
    small = [word.replace(f"sets.{FIRST}.", "data.") for word in several_sets.words([FIRST])[1:]]
    alone, one = trainer_of(f"data={FIRST}", *small, folder="data"), trainer_of(*several_sets.words([FIRST]))
    run(alone)
    run(one)
    assert_same(one, alone)
    assert one.training.names == alone.training.names


def test_batches_hold_one_set_and_follow_from_seed_and_epoch(trainer_of):
    kinds = trainer_of(*several_sets.words()).training.kinds
    order = batches.shuffled(kinds, 4, 3, 1)
    assert sorted(i for batch in order for i in batch) == list(range(16))
    assert all(len({kinds[i] for i in batch}) == 1 for batch in order)
    assert batches.shuffled(kinds, 4, 3, 1) == order != batches.shuffled(kinds, 4, 3, 2)


def test_a_step_minimises_the_nll_of_its_set_times_its_weight(trainer_of):
    """Twelve images and eight, which count as much together: 20 / (2 * 8) for each of the eight."""
    trainer = trainer_of(*several_sets.words(), f"sets.{FIRST}.images=15", "sets_weight=sets")
    members = [i for i, (name, size) in enumerate(trainer.training.kinds) if name == SECOND and size == (64, 96)][:3]
    nll = 1.25 * plain_nll_nats(trainer, trainer.training, members)
    trainer.model.zero_grad()
    nll.backward()
    expected = [parameter.grad.clone() for parameter in trainer.model.parameters()]
    with torch.no_grad():
        before = [parameter.clone() for parameter in trainer.model.parameters()]
    TrainingGroup([trainer]).step(members, 0)
    assert trainer.steps[0]["nll_nats"] == pytest.approx(nll.item(), rel=1e-5)
    for parameter, gradient in zip(trainer.model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-6)
    assert any(not torch.equal(*pair) for pair in zip(before, trainer.model.parameters(), strict=True))


def test_validation_is_over_all_sets(trainer_of):
    """Three images of one set and two of the other, which count as much together."""
    trainer = trainer_of(*several_sets.words(), f"sets.{FIRST}.images=15", "sets_weight=sets")
    validation = trainer.validation
    each = [plain_nll_nats(trainer, validation, [i]).item() for i in range(5)]
    nll, _ = TrainingGroup([trainer]).validate()[0]
    assert nll == pytest.approx((sum(each[:3]) / 3 + sum(each[3:]) / 2) / 2, rel=1e-5)


def test_a_group_that_was_stopped_goes_on_to_the_bits_of_each_alone(trainer_of):
    words = {
        "baseline": several_sets.words(),
        "strong": several_sets.words(several_sets.NAMES, "loss=nll_entropy", "loss.every=1"),
    }
    alone = {name: trainer_of(*of_run, folder=f"alone/{name}") for name, of_run in words.items()}
    for trainer in alone.values():
        run(trainer)
    group = TrainingGroup([trainer_of(*of_run, folder=name) for name, of_run in words.items()])
    group.ranks = dataclasses.replace(group.ranks, stop=AskedToStop(7))
    with pytest.raises(Stopped):
        [*group.run()]
    resumed = {name: trainer_of(*of_run, folder=name) for name, of_run in words.items()}
    assert len([*TrainingGroup([*resumed.values()]).run()]) == 2
    for name, trainer in resumed.items():
        assert_same(trainer, alone[name])
        assert trainer.step > 6 and len(history(trainer)) == 2
