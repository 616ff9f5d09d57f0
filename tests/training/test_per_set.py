"""Trainings whose sets have numbers of their own: each batch moves its set's, and nothing else decides on the bits."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from entreg.config import PER_SET
from entreg.config.settings import resolved
from entreg.distributed.ranks import Ranks, Stopped
from entreg.errors import SettingError, UserError
from entreg.model import reference
from entreg.model.deepgaze3 import DeepGaze3, densities
from entreg.study import bias_map
from entreg.training.trainer import Trainer
from entreg.training.training_group import TrainingGroup
from tests import several_sets
from tests.training.test_trainer import AskedToStop, history, run
from tests.training.test_training_group import assert_same

pytestmark = pytest.mark.usefixtures("one_thread")

FIRST, SECOND = several_sets.NAMES
OWN = "model.per_set=[center_bias,scale,spread]"
WORDS = several_sets.words(several_sets.NAMES, OWN)
MEMBERS = {
    "own": WORDS,
    "strong": [*WORDS, "loss=nll_entropy", "loss.every=1", "seed=1", "trainer.order_seed=0"],
    "scales": [*several_sets.words(), "model.per_set=[scale]"],
    "none": several_sets.words(),
}


def plain_nll_nats(trainer: Trainer, part, members: list[int]) -> torch.Tensor:
    """The mean over images of one set, each by itself, with the set's own numbers."""
    model, maps = trainer.model.on(part.set_of(members)), []
    for i in members:
        batch = part.batch([i])
        maps += densities([model], batch.features, [batch.center_bias], batch.grid, torch.float32)[0].full()
    return reference.nll_nats(torch.stack(maps), [part.fixations[i] for i in members])


def spread_out(trainer: Trainer) -> Trainer:
    """With numbers that differ between sets, as no training has made them yet."""
    with torch.no_grad():
        for number in PER_SET:
            getattr(trainer.model.per_set, number).copy_(torch.tensor([0.3, -0.5]))
    return trainer


def test_a_step_minimises_the_nll_with_the_numbers_of_its_set(trainer_of):
    trainer = spread_out(trainer_of(*WORDS))
    members = [i for i, kind in enumerate(trainer.training.kinds) if kind == (SECOND, (64, 96))][:3]
    nll = plain_nll_nats(trainer, trainer.training, members)
    trainer.model.zero_grad()
    nll.backward()
    expected = {name: parameter.grad.clone() for name, parameter in trainer.model.named_parameters()}
    TrainingGroup([trainer]).step(members, 0)
    assert trainer.steps[0]["nll_nats"] == pytest.approx(nll.item(), rel=1e-5)
    for name, parameter in trainer.model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-3, atol=1e-6, msg=name)
    for number in PER_SET:  # what raises one set above the average lowers the other one
        first, second = expected[f"per_set.{number}"].tolist()
        assert second == pytest.approx(-first, rel=1e-4) and abs(second) > 1e-6


def test_the_gradients_of_two_ranks_add_up_to_those_of_one(trainer_of):
    """Of three images, of which one rank has two. Real processes are slow tests, below."""

    class Alone(Ranks):
        """One of several ranks, which hears nothing of the others."""

        def sum(self, tensor: torch.Tensor) -> torch.Tensor:
            return tensor

    found = []
    for ranks in (Alone(0, 1), Alone(0, 2), Alone(1, 2)):
        trainer = spread_out(trainer_of(*WORDS))
        members = [i for i, kind in enumerate(trainer.training.kinds) if kind == (SECOND, (64, 96))][:3]
        group = TrainingGroup([trainer])
        group.ranks = ranks
        group.step(members, 0)
        found.append([parameter.grad for parameter in trainer.model.parameters()])
    for whole, first, second in zip(*found, strict=True):
        torch.testing.assert_close(first + second, whole, rtol=1e-4, atol=1e-7)


def test_validation_takes_the_numbers_of_each_images_set(trainer_of):
    trainer = spread_out(trainer_of(*WORDS))
    validation = trainer.validation
    nll, _ = TrainingGroup([trainer]).validate()[0]
    assert nll == pytest.approx(sum(plain_nll_nats(trainer, validation, [i]).item() for i in range(4)) / 4, rel=1e-5)


def test_the_bias_map_is_that_of_the_average_set_and_moves_no_sets_numbers(trainer_of):
    trainer = spread_out(trainer_of(*MEMBERS["strong"]))
    average = DeepGaze3(trainer.training.recipe.channels, 1.0, 0)
    average.load_state_dict({name: trainer.model.state_dict()[name] for name in average.state_dict()})
    average.step, uniform = trainer.model.step, trainer.uniform[trainer.study.landscape]
    found, expected = (bias_map.bias_map(model, uniform) for model in (trainer.model, average))
    assert torch.equal(found.grid, expected.grid)
    trainer.model.zero_grad()
    density = trainer.model(*uniform.inputs(range(len(uniform))))
    density.entropy_nats().sum().backward()
    assert trainer.model.finalizer.gauss.sigma.grad is not None
    assert all(getattr(trainer.model.per_set, number).grad is None for number in PER_SET)


def test_an_epochs_row_tells_the_numbers_of_each_set(trainer_of):
    trainer = trainer_of(*WORDS)
    run(trainer)
    row, numbers = trainer.history[-1], trainer.model.own_numbers()
    for of_set in (FIRST, SECOND):
        found = {key: row[f"{key}.{of_set}"] for key in ("scale", "sigma_px", "center_bias_weight")}
        assert found == numbers[of_set] and 1 not in found.values()
    assert row["center_bias_weight"] == pytest.approx(
        sum(row[f"center_bias_weight.{name}"] for name in (FIRST, SECOND)) / 2
    )
    assert "scale.synthetic" in trainer.folder.metrics.read_text().splitlines()[0]


@pytest.fixture(scope="module")
def trained() -> dict[str, Trainer]:
    return {}


@pytest.fixture
def alone(trainer_of, trained):
    """Each of MEMBERS trained alone, by name; once for all tests."""
    for name in MEMBERS.keys() - trained.keys():
        trained[name] = trainer_of(*MEMBERS[name], folder=f"alone/{name}")
        run(trained[name])
    return trained


def test_a_group_that_was_stopped_goes_on_to_the_bits_of_each_alone(trainer_of, alone):
    group = TrainingGroup([trainer_of(*words, folder=name) for name, words in MEMBERS.items()])
    group.ranks = dataclasses.replace(group.ranks, stop=AskedToStop(7))
    with pytest.raises(Stopped):
        [*group.run()]
    resumed = {name: trainer_of(*words, folder=name) for name, words in MEMBERS.items()}
    assert len([*TrainingGroup([*resumed.values()]).run()]) == len(MEMBERS)
    for name, trainer in resumed.items():
        assert_same(trainer, alone[name])
        assert trainer.step > 6 and len(history(trainer)) == 2
    assert history(alone["own"]) != history(alone["scales"]) != history(alone["none"])


def test_another_order_of_sets_and_numbers_changes_no_bit(trainer_of, alone):
    words = several_sets.words((SECOND, FIRST), "model.per_set=[spread,scale,center_bias,scale]")
    other = trainer_of(*words, folder="other")
    assert other.config.model == alone["own"].config.model  # so that it is the same arm, and resumes
    run(other)
    assert_same(other, alone["own"])


def test_without_own_numbers_nothing_is_as_before_but_what_it_lacks(alone):
    """One parameter more or less would change the bits of every optimiser's state."""
    assert alone["none"].model.per_set is None
    assert alone["none"].model.state_dict().keys() == DeepGaze3(1, 1.0, 0).state_dict().keys()
    assert not any("." in key for key in alone["none"].history[-1])


def test_compiled_and_plain_steps_train_the_same(trainer_of, alone):
    plain = trainer_of(*WORDS, "hardware.step=plain", folder="plain")
    run(plain)
    for name, value in plain.model.state_dict().items():
        torch.testing.assert_close(value, alone["own"].model.state_dict()[name], rtol=1e-4, atol=1e-4, msg=name)


def test_a_run_does_not_go_on_with_other_numbers(composed, trainer_of, alone):
    folder = alone["own"].folder
    folder.write_config(alone["own"].config)
    folder.refuse_other_config(alone["own"].config)
    with pytest.raises(UserError, match=r"model\.per_set"):
        folder.refuse_other_config(dataclasses.replace(alone["scales"].config, paths=alone["own"].config.paths))


@pytest.mark.parametrize(
    "words, said",
    [
        (["model.per_set=[scale]"], "two sets or more to learn from"),
        (several_sets.words([FIRST], "model.per_set=[scale]"), "two sets or more to learn from"),
        ([*WORDS, f"leave_out={FIRST}"], "two sets or more to learn from"),
        (several_sets.words(several_sets.NAMES, "model.per_set=[sigma]"), "one of center_bias, scale, spread"),
        ([*WORDS, "model.center_bias=uniform"], "model.center_bias=uniform changes no density, whatever its weight"),
    ],
    ids=range(5),
)
def test_what_has_no_meaning_is_refused(composed, words, said):
    with pytest.raises(SettingError, match=rf"^model\.per_set=.*{said}"):
        resolved(composed(*words, "study=s"))


@pytest.mark.slow
@pytest.mark.parametrize("devices", [2, 4])
def test_numbers_do_not_depend_on_how_many_ranks_compute_them(command, tmp_path, devices):
    """Within rounding, as PyTorch's sums round by the images of a rank."""
    words = [*MEMBERS["strong"], "trainer.epochs=2"]
    for ranks in (1, devices):
        done = command(*words, f"hardware.devices={ranks}", f"hydra.run.dir={ranks}", folder=tmp_path)
        assert done.returncode == 0, done.stderr
    one, several = (
        torch.load(tmp_path / f"{ranks}/checkpoints/final.pt", weights_only=True)["model"] for ranks in (1, devices)
    )
    assert {name for name in one if name.startswith("per_set")} == {f"per_set.{number}" for number in PER_SET}
    for name, expected in one.items():
        torch.testing.assert_close(several[name], expected, rtol=1e-5, atol=1e-5, msg=name)
