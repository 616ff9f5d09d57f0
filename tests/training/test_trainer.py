"""Steps and epochs against plain sums over the model's full maps, and trainings that are interrupted."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
import math
from pathlib import Path

import pytest
import torch

from entreg.data.fingerprint import digests_of
from entreg.distributed.ranks import StopFlag, Stopped
from entreg.errors import DataError, NonFiniteLoss
from entreg.model import reference, step_library
from entreg.model.log_density import LogDensity
from entreg.model.step_library import available
from entreg.priors.gaussian import gaussian_log_prior
from entreg.runs import checkpoint
from entreg.runs.folder import State
from entreg.study import bias_map as of_model
from entreg.study import changed_sets
from entreg.training import batches, training_figures
from entreg.training.start import finished_before
from entreg.training.trainer import Trainer
from entreg.training.training_group import TrainingGroup
from tests.conftest import SMALL
from tests.model import published_files

pytestmark = pytest.mark.usefixtures("one_thread")

needs_compiled_step = pytest.mark.skipif(not available(), reason="the compiled step was not built here")

TIMING = ("images_per_s", "seconds")
BATCHES = [6, 5, 4]  # images of each step of an epoch, in an order of its own: 11 landscapes and 4 portraits


class AskedToStop(StopFlag):
    """Is asked to stop in a training's step of this number, counted from 0."""

    def __init__(self, step: int) -> None:
        self.steps = iter(range(step + 1))
        self.last = step

    @property
    def received(self) -> bool:
        return next(self.steps) == self.last


def run(trainer: Trainer) -> None:
    """Train to the last epoch."""
    for _ in TrainingGroup([trainer]).run():
        pass


def bias_map(trainer: Trainer) -> LogDensity:
    return of_model.bias_map(trainer.model, trainer.uniform[trainer.study.landscape])


def stop_in(trainer: Trainer, step: int) -> None:
    """Train until it is asked to stop, in the step of this number."""
    undisturbed, trainer.ranks = trainer.ranks, dataclasses.replace(trainer.ranks, stop=AskedToStop(step))
    with pytest.raises(Stopped):
        run(trainer)
    trainer.ranks = undisturbed


@pytest.fixture
def trainer_of(trainer_of):
    """trainer_of(*words, folder=NAME): a trainer of the smallest study, of two epochs."""
    return functools.partial(trainer_of, *SMALL, "hardware=cpu")


def first_batch(trainer: Trainer) -> list[int]:
    """Numbers of the images of the first step."""
    return batches.shuffled(trainer.training.sizes, 6, trainer.config.seed, 0)[0]


def portraits(trainer: Trainer) -> list[int]:
    """Numbers of the training images that are higher than wide: they make a batch of their own."""
    return [i for i, size in enumerate(trainer.training.sizes) if size == (192, 144)]


def predicted(trainer: Trainer, part, i: int) -> torch.Tensor:
    """(H, W) log density of one image."""
    batch = part.batch([i])
    return trainer.model(batch.features, batch.center_bias, batch.grid).full()[0]


def plain_nll_nats(trainer: Trainer, part, members: list[int]) -> torch.Tensor:
    maps = [predicted(trainer, part, i) for i in members]
    return reference.nll_nats(torch.stack(maps), [part.fixations[i] for i in members])


def plain_entropy_nats(trainer: Trainer, size: tuple[int, int]) -> torch.Tensor:
    """Mean over the uniform images of the entropies of their maps."""
    uniform = trainer.study.uniform(size)
    return reference.entropy_nats(trainer.model(*uniform.inputs(range(len(uniform)))).full()).mean()


def parameters(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def history(trainer: Trainer) -> list[dict]:
    return [{key: value for key, value in row.items() if key not in TIMING} for row in trainer.history]


def test_a_steps_nll_is_the_plain_mean_before_the_step(trainer_of):
    trainer = trainer_of()
    members = first_batch(trainer)
    expected = plain_nll_nats(trainer, trainer.training, members).item()
    before = parameters(trainer)
    TrainingGroup([trainer]).step(members, 0)
    nll = pytest.approx(expected, rel=1e-5)
    assert trainer.steps == [{"step": 0, "epoch": 1, "nll_nats": nll, "bias_entropy_nats": None}]
    assert not any(torch.equal(value, before[name]) for name, value in parameters(trainer).items() if "conv" in name)


def test_over_fixations_the_nll_is_the_mean_of_all_fixations_of_the_batch(trainer_of):
    """One image keeps a single one of its 90 fixations, so that the two means differ."""
    trainer = trainer_of("loss.mean_over=fixations")
    members = first_batch(trainer)
    part = dataclasses.replace(trainer.training.parts["synthetic"])
    part.fixations[members[0]] = tuple(axis[:1] for axis in part.fixations[members[0]])
    trainer.training = dataclasses.replace(trainer.training, parts={"synthetic": part})
    log_p = torch.cat([predicted(trainer, part, i)[part.fixations[i]] for i in members])
    assert len(log_p) == 90 * (len(members) - 1) + 1
    TrainingGroup([trainer]).step(members, 0)
    assert trainer.steps[0]["nll_nats"] == pytest.approx(-log_p.mean().item(), rel=1e-5)


@pytest.mark.parametrize("words", [(), ("loss=nll_entropy", "loss.lambda_entropy=0.7")], ids=["nll", "nll_entropy"])
def test_a_steps_gradient_is_that_of_nll_minus_lambda_times_entropy(trainer_of, words):
    """On portraits, for which the bias map is one of portraits too."""
    trainer = trainer_of(*words)
    members, named = portraits(trainer), dict(trainer.model.named_parameters())
    loss = plain_nll_nats(trainer, trainer.training, members)
    if words:
        loss = loss - 0.7 * plain_entropy_nats(trainer, (192, 144))
    expected = torch.autograd.grad(loss, list(named.values()))
    TrainingGroup([trainer]).step(members, 0)
    for (name, parameter), gradient in zip(named.items(), expected, strict=True):
        difference = (parameter.grad - gradient).norm() / gradient.norm()
        assert difference < 1e-3, name


@pytest.mark.parametrize("every, expected", [(1, [0, 1, 2, 3, 4, 5]), (2, [0, 2, 4]), (4, [0, 4])])
def test_the_entropy_enters_on_every_nth_step_counted_through_all_epochs(trainer_of, every, expected):
    trainer = trainer_of("loss=nll_entropy", f"loss.every={every}")
    before = plain_entropy_nats(trainer, trainer.training.sizes[first_batch(trainer)[0]]).item()
    run(trainer)
    assert [row["step"] for row in trainer.steps] == list(range(6))
    assert [row["step"] for row in trainer.steps if row["bias_entropy_nats"] is not None] == expected
    assert trainer.steps[0]["bias_entropy_nats"] == pytest.approx(before, rel=1e-5)


def test_with_lambda_0_it_is_the_baseline_to_the_bit(trainer_of):
    baseline = trainer_of("loss=nll", folder="baseline")
    zero = trainer_of("loss=nll_entropy", "loss.lambda_entropy=0", "loss.every=1", folder="zero")
    other = trainer_of("loss=nll_entropy", "loss.lambda_entropy=0.01", "loss.every=1", folder="other")
    for trainer in (baseline, zero, other):
        run(trainer)
    expected = parameters(baseline)
    assert all(torch.equal(value, expected[name]) for name, value in parameters(zero).items())
    assert zero.steps == baseline.steps and history(zero) == history(baseline)
    assert not any(torch.equal(value, expected[name]) for name, value in parameters(other).items() if "conv" in name)


@pytest.mark.parametrize(
    "words, warned",
    [
        (("loss=nll", "loss.lambda_entropy=3"), True),
        (("loss=nll",), False),
        (("loss=nll_entropy", "loss.lambda_entropy=3"), False),
    ],
    ids=str,
)
def test_a_lambda_that_has_no_use_is_warned_of(trainer_of, caplog, words, warned):
    with caplog.at_level(logging.WARNING, logger="entreg.training.trainer"):
        trainer_of(*words)
    said = [record.getMessage() for record in caplog.records if "lambda_entropy" in record.getMessage()]
    assert len(said) == warned
    assert all(message.startswith("loss=nll ignores loss.lambda_entropy=3;") for message in said)


def test_an_epochs_row_is_derived_from_its_steps_and_the_model_after_it(trainer_of):
    trainer = trainer_of("trainer.epochs=1")
    run(trainer)
    (row,) = trainer.history
    images = [len(members) for members in batches.shuffled(trainer.training.sizes, 6, 0, 0)]
    assert sorted(images, reverse=True) == BATCHES
    mean = sum(n * step["nll_nats"] for n, step in zip(images, trainer.steps, strict=True)) / 15
    assert row["train_nll_nats"] == pytest.approx(mean, rel=1e-12)
    assert row["epoch"] == 1 and row["lr"] == trainer.config.optim.lr
    learned = trainer.model.finalizer
    assert row["sigma_px"] == learned.gauss.sigma.item() != trainer.config.model.sigma_px
    assert row["center_bias_weight"] == learned.center_bias_weight.item() != 1
    entropy = reference.entropy_nats(bias_map(trainer).full()).item()
    assert row["bias_entropy_nats"] == pytest.approx(entropy, rel=1e-5)
    (validation,) = TrainingGroup([trainer]).validate()
    assert (row["validation_nll_nats"], row["validation_ig_bits_per_fixation"]) == validation


@torch.no_grad()
def test_the_bias_map_is_the_mean_density_at_the_landscape(trainer_of):
    trainer = trainer_of()
    maps = trainer.model(*trainer.study.uniform((144, 192)).inputs(range(4))).full()
    torch.testing.assert_close(bias_map(trainer).full()[0], maps.exp().mean(0).log(), atol=1e-5, rtol=0)


@torch.no_grad()
def test_validation_is_the_mean_over_images_in_nats_and_in_bits_over_the_gaussian_prior(trainer_of):
    trainer = trainer_of()
    part = trainer.validation.parts["synthetic"]
    nll, ig = [], []
    for i in range(len(part)):
        (y, x), size, stimulus = part.fixations[i], part.sizes[i], part.stimuli[i]
        log_p = predicted(trainer, part, i)[y, x].mean().item()
        prior = gaussian_log_prior(*size, stimulus.height_px, stimulus.width_px, 0.22, 0.45)[y, x].mean()
        nll.append(-log_p)
        ig.append((log_p - prior) / math.log(2))
    nll_and_ig = TrainingGroup([trainer]).validate()[0]
    assert len(nll) == 5
    assert nll_and_ig == pytest.approx((sum(nll) / 5, sum(ig) / 5), rel=1e-5)


def test_a_parameter_that_is_not_finite_ends_the_training_and_names_the_images(trainer_of):
    trainer = trainer_of()
    with torch.no_grad():
        trainer.model.finalizer.center_bias_weight.fill_(float("nan"))
    sigma = trainer.model.finalizer.gauss.sigma.item()
    members = first_batch(trainer)
    names = ", ".join(sorted(trainer.training.names[i] for i in members))
    with pytest.raises(NonFiniteLoss) as caught:
        run(trainer)
    assert str(caught.value) == (
        f"the loss is not finite in epoch 1, batch 1 (step 0): images {names}; there is no earlier checkpoint"
    )
    assert trainer.model.finalizer.gauss.sigma.item() == sigma
    assert not list(trainer.folder.path.rglob("*.pt"))


def test_the_one_image_is_named_whose_loss_is_not_finite(trainer_of):
    trainer = trainer_of()
    bad = first_batch(trainer)[2]
    part = trainer.training.parts["synthetic"]
    center_biases = list(part.center_biases)
    center_biases[bad] = torch.full_like(center_biases[bad], float("nan"))
    part = dataclasses.replace(part, center_biases=center_biases)
    trainer.training = dataclasses.replace(trainer.training, parts={"synthetic": part})
    with pytest.raises(NonFiniteLoss, match=rf"\(step 0\): images {trainer.training.names[bad]}; there is"):
        run(trainer)


@pytest.mark.parametrize("step", [1, 3])
def test_what_was_stopped_in_the_middle_of_an_epoch_goes_on_to_the_same_bits(trainer_of, step):
    words = ("loss=nll_entropy", "loss.every=2")
    undisturbed = trainer_of(*words, folder="undisturbed")
    run(undisturbed)
    stop_in(trainer_of(*words), step)
    resumed = trainer_of(*words)
    assert checkpoint.read(resumed.folder.last)["step"] == step + 1  # the step in which it is asked is still done
    run(resumed)
    expected = parameters(undisturbed)
    assert all(torch.equal(value, expected[name]) for name, value in parameters(resumed).items())
    assert resumed.steps == undisturbed.steps and history(resumed) == history(undisturbed)
    assert resumed.folder.steps.read_text() == undisturbed.folder.steps.read_text()


@needs_compiled_step
@pytest.mark.parametrize("words", [("loss=nll",), ("loss=nll_entropy", "loss.every=2")], ids=str)
def test_compiled_and_plain_steps_train_the_same(trainer_of, words):
    """IG within 1e-6 bit/fixation, and every step's NLL and bias entropy within 1e-5 nats."""
    compiled, plain = (trainer_of(*words, f"hardware.step={step}", folder=step) for step in ("compiled", "plain"))
    assert compiled.model.step == available()[0] and plain.model.step == "torch"
    for trainer in (compiled, plain):
        run(trainer)
    for ours, theirs in zip(compiled.steps, plain.steps, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)
    ig = [trainer.history[-1]["validation_ig_bits_per_fixation"] for trainer in (compiled, plain)]
    assert ig[0] == pytest.approx(ig[1], abs=1e-6)


@needs_compiled_step
def test_a_training_goes_on_with_the_version_that_it_began_with(trainer_of, caplog):
    """The slowest one, say, where a faster one is there as well."""
    slowest = available()[-1]
    begun = trainer_of()
    begun.model.step = slowest
    stop_in(begun, 1)
    resumed = trainer_of()
    resumed.begin()
    assert resumed.model.step == slowest
    assert not any("last digits" in message for message in caplog.messages)
    undisturbed = trainer_of(folder="undisturbed")
    undisturbed.model.step = slowest
    run(undisturbed)
    run(resumed)
    expected = parameters(undisturbed)
    assert all(torch.equal(value, expected[name]) for name, value in parameters(resumed).items())


@needs_compiled_step
def test_where_the_version_is_missing_the_training_goes_on_and_says_so(trainer_of, caplog):
    stop_in(trainer_of(), 1)
    resumed = trainer_of("hardware.step=plain")
    resumed.folder.add_start({"host": "here"})
    with caplog.at_level(logging.INFO):
        run(resumed)
    version = step_library.description(available()[0])
    warned = f"steps were computed by {version} so far and are now by torch, so that the last digits will differ"
    assert any(message.startswith(warned) for message in caplog.messages)
    assert "steps are computed by torch: hardware.step=plain" in caplog.messages
    assert resumed.folder.starts() == [{"host": "here", "step_version": "torch"}]
    assert checkpoint.read(resumed.folder.last)["step_version"] == "torch"


@needs_compiled_step
def test_a_training_of_an_earlier_version_goes_on_with_pytorch(trainer_of):
    """Its checkpoint does not name the version of the step."""
    trainer = trainer_of("hardware.step=plain")
    stop_in(trainer, 1)
    state = checkpoint.read(trainer.folder.last)
    del state["step_version"]
    checkpoint.write(trainer.folder.last, state)
    resumed = trainer_of()
    resumed.begin()
    assert resumed.model.step == "torch" and resumed.step == 2


def test_features_of_other_data_are_not_gone_on_with(trainer_of):
    trainer = trainer_of()
    changed_sets.record(trainer.folder, trainer.study.sets)
    stop_in(trainer, 1)
    other = trainer_of()
    other.fingerprints |= {"data": "other", "features": "others"}
    with pytest.raises(DataError, match=rf"^{other.folder.last} was trained on other .*: data, features changed;"):
        run(other)
    other = trainer_of()
    sets = other.study.sets
    foreign = sets["ood.synthetic_ood"]
    exchanged = foreign.images | {"0003.png": "0" * 64}
    other.study.sets = sets | {"ood.synthetic_ood": dataclasses.replace(foreign, images=exchanged)}
    other.fingerprints |= digests_of(other.study.sets)
    what = r"ood.synthetic_ood: 1 of 6 images has other content \(0003.png\)"
    with pytest.raises(DataError, match=rf": ood.synthetic_ood changed \({what}\); bring"):
        run(other)


def test_a_disk_that_is_full_at_the_last_picture_undoes_no_training_and_the_picture_is_owed(
    trainer_of, monkeypatch, caplog
):
    trainer = trainer_of("trainer.epochs=1")
    run(trainer)
    assert not trainer.folder.owes_pictures

    def full(path: Path, examples) -> None:
        raise DataError(f"{path}: cannot be written: No space left on device")

    with monkeypatch.context() as context:
        context.setattr(training_figures, "predictions", full)
        trainer.finish(bias_map(trainer))
    folder = trainer.folder
    assert folder.state is State.FINISHED and folder.state_in_words == "trained, pictures owed"
    assert "No space left on device; " in caplog.text and "its pictures are owed" in caplog.text
    assert not finished_before(folder)
    again = trainer_of("trainer.epochs=1")
    for member, of_member in TrainingGroup([again]).run():
        member.finish(of_member)
    assert folder.predictions.is_file() and finished_before(folder) and folder.state_in_words == "finished"
    ours, theirs = parameters(again), parameters(trainer)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_final_checkpoint_comes_after_all_else(trainer_of, monkeypatch):
    """Where it is the run is complete: a training that is killed while it draws goes on from its last state."""
    trainer = trainer_of("trainer.epochs=1", "trainer.checkpoint_every=1")
    run(trainer)

    def killed(path: Path, examples) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr(training_figures, "predictions", killed)
        trainer.finish(bias_map(trainer))
    folder = trainer.folder
    assert folder.last.is_file() and not folder.is_trained
    trainer.finish(bias_map(trainer))
    assert folder.is_trained and not folder.last.exists() and folder.numbered(1).is_file()
    assert folder.last_ig_bits() == trainer.history[-1]["validation_ig_bits_per_fixation"]
    assert all(path.is_file() for path in (folder.loss_curves, folder.bias_map, folder.predictions, folder.metrics))


def test_a_bias_map_that_is_not_finite_is_named_with_the_last_good_state(trainer_of):
    trainer = trainer_of("loss=nll_entropy", "loss.every=3")
    stop_in(trainer, 2)
    trainer.uniform = {
        size: dataclasses.replace(uniform, center_bias=torch.full_like(uniform.center_bias, float("nan")))
        for size, uniform in trainer.uniform.items()
    }
    last = trainer.folder.last
    with pytest.raises(NonFiniteLoss, match=rf"\(step 3\): bias_entropy_nats; the last good state is in {last}$"):
        run(trainer)


@pytest.mark.parametrize(
    "name", ["finalizer.gauss.sigma", "saliency_network.conv0.weight", "finalizer.center_bias_weight"]
)
def test_any_parameter_that_is_not_finite_is_a_non_finite_loss(trainer_of, name):
    trainer = trainer_of()
    with torch.no_grad():
        trainer.model.get_parameter(name).fill_(float("nan"))
    with pytest.raises(NonFiniteLoss):
        run(trainer)


def test_by_degree_the_bias_map_is_of_the_landscape_size_whatever_the_batch(trainer_of):
    angles = "data.px_per_degree=10", "data.model_px_per_degree=20", "ood.synthetic_ood.px_per_degree=10"
    words = "data.geometry=degrees", *angles, "loss=nll_entropy", "loss.every=1"
    trainer = trainer_of(*words, folder="degrees")
    assert set(trainer.training.sizes) == {(288, 384), (384, 288)} and list(trainer.uniform) == [(144, 192)]
    before = plain_entropy_nats(trainer, (144, 192)).item()
    TrainingGroup([trainer]).step(batches.in_order(trainer.training.sizes, 6)[-1], 0)
    assert trainer.steps[-1]["bias_entropy_nats"] == pytest.approx(before, rel=1e-5)
    assert bias_map(trainer).size == (144, 192)


@pytest.mark.slow
def test_both_arms_start_from_a_published_component(command, tmp_path):
    """A step of 1e-12 leaves the parameters where the file has them; its numbers are random."""
    state = published_files.iie(published_files.densenet())
    torch.save(state, tmp_path / "deepgaze2e.pth")
    done = command(
        "-m",
        *SMALL,
        "model=deepgaze2e_densenet201",
        "model.init_from=deepgaze2e.pth",
        "model.init_component=2",
        "model.backbone.weights=deepgaze2e.pth",
        "trainer.epochs=1",
        "optim.lr=1e-12",
        "optim.lr_final=1e-12",
        "loss=nll,nll_entropy",
        "study=start",
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    expected = published_files.of_component(state, "models.2.", 2)
    for number in (0, 1):
        final = torch.load(tmp_path / f"multirun/start/{number}/checkpoints/final.pt", weights_only=True)
        assert (
            final["fingerprints"]["init_from"] == hashlib.sha256((tmp_path / "deepgaze2e.pth").read_bytes()).hexdigest()
        )
        for key, value in expected.items():
            torch.testing.assert_close(final["model"][key], value, rtol=0, atol=1e-9)
