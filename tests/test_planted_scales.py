"""Sets whose truth is known: three that differ by the scale of one model alone, and one set under two names.

Trainings and adaptations are real. The pictures are drawn, and their fixations are drawn from what a model with drawn
weights predicts for them with its readout scaled.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.generated import picture
from entreg.config.settings import resolved
from entreg.distributed.ranks import Ranks
from entreg.evaluation.adaptation import ADAPTED, adapt
from entreg.evaluation.evaluation_cache import EvaluationCache
from entreg.evaluation.statistics import crossed
from entreg.model.deepgaze3 import DeepGaze3, densities
from entreg.model.step_library import TORCH
from entreg.runs.folder import RunFolder
from entreg.study.study import Study
from entreg.study.study_cache import StudyCache
from entreg.training.trainer import Trainer
from entreg.training.training_group import TrainingGroup
from entreg.units import BITS_PER_NAT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

SIZE = (64, 96)
IMAGES, FIXATIONS = 160, 300  # of fewer images the networks would know by heart how sharp each is
PLANTED = {"half": 0.5, "one": 1.0, "two": 2.0}
OWN, NONE = "model.per_set=[scale,spread]", "model.per_set=[]"


class Planted:
    """Data sets in files, configs that learn from them, and the model that their fixations follow."""

    def __init__(self, place: Path, composed, sets: dict[str, float], *, same_pictures: bool = False) -> None:
        self.place, self._composed, self.sets = place, composed, sets
        for number, name in enumerate(sets):
            (place / name / "stimuli").mkdir(parents=True)
            for i in range(IMAGES):
                seed = i if same_pictures else 1000 * number + i
                path = place / name / "stimuli" / f"{i:03d}.png"
                picture(path.with_suffix(".jpg"), SIZE, seed)
                Image.open(path.with_suffix(".jpg")).save(path)
                path.with_suffix(".jpg").unlink()
            self._write(name, np.random.default_rng(number).uniform(4, 60, (IMAGES, 9, 2)))
        study = Study(self.config(), StudyCache(Ranks()))
        self.truth = DeepGaze3(study.recipe.channels, 2.0, 7).requires_grad_(False)
        self.truth.fixation_selection_network.conv2.weight.mul_(6)
        for number, (name, scale) in enumerate(sets.items()):
            self._write(name, self._drawn(study, name, scale, 0 if same_pictures else number))

    def config(self, *words: str):
        """The config of a training on these sets, of the centre bias nothing is told."""
        each = [f"+data@sets.{name}=folder" for name in self.sets]
        small = ("folds=5", "long_side_px=96", "short_side_px=64", "sigma_px=4")
        roots = [f"sets.{name}.root={self.place / name}" for name in self.sets]
        return resolved(
            self._composed(
                *each,
                *(f"sets.{name}.{word}" for name in self.sets for word in small),
                "data=first_of_sets",
                "ood=[]",
                "model.center_bias=uniform",
                "model.sigma_px=2",
                "model.backbone.taps=[conv1_2,relu2_2]",
                "trainer.batch_size=16",
                "trainer.epochs=60",
                "optim.lr=0.001",
                "optim.lr_final=0.0002",
                "uniform.images=2",
                "hardware=cpu",
                "hardware.threads=1",
                "study=s",
                f"paths.store={self.place / 'store'}",
                *roots,
                *words,
            )
        )

    def trained(self, *words: str) -> Trainer:
        """A training that begins with the truth's networks."""
        config = self.config(*words)
        folder = self.place / "runs" / str(len([*self.place.glob("runs/*")]))
        trainer = Trainer(Study(config, StudyCache(Ranks())), RunFolder(folder))
        trainer.model.load_state_dict(trainer.model.state_dict() | self.truth.state_dict())
        for _ in TrainingGroup([trainer]).run():
            pass
        return trainer

    def _write(self, name: str, fixations: np.ndarray) -> None:
        """fixations: (images, n, 2) x and y."""
        lines = [f"{i:03d}.png,{x:.3f},{y:.3f}" for i, of_image in enumerate(fixations) for x, y in of_image]
        (self.place / name / "fixations.csv").write_text("\n".join(["image,x,y", *lines]) + "\n")

    def _drawn(self, study: Study, name: str, scale: float, seed: int) -> np.ndarray:
        model = DeepGaze3(study.recipe.channels, 1.0, 0)
        model.load_state_dict(self.truth.state_dict())
        model.fixation_selection_network.conv2.weight.data.mul_(scale)
        split = study.not_learned(study.config.sets[name])
        rng, found = np.random.default_rng(seed), []
        for i in range(IMAGES):
            batch = split.batch([i])
            with torch.no_grad():
                p = model(batch.features, batch.center_bias, batch.grid).full()[0].double().exp().flatten().numpy()
            y, x = np.unravel_index(rng.choice(p.size, FIXATIONS, p=p / p.sum()), SIZE)
            found.append(np.stack([x + 0.5, y + 0.5], 1))
        return np.array(found)


@pytest.fixture(scope="module")
def planted(composed, tmp_path_factory) -> Planted:
    return Planted(tmp_path_factory.mktemp("planted"), composed, PLANTED)


def test_the_ratios_of_planted_scales_are_learned_within_a_tenth(planted):
    numbers = planted.trained(OWN).model.own_numbers()
    for name, scale in PLANTED.items():  # whose geometric mean is 1
        assert numbers[name]["scale"] == pytest.approx(scale, rel=0.1)


def test_of_a_set_that_differs_by_scale_alone_nothing_is_left_after_the_ladder(planted):
    """Of the difference between models with and without own numbers, which is clear as trained."""
    found = {}
    for words in ((OWN,), (NONE,)):
        trainer = planted.trained("leave_out=half", *words)
        config, cache = trainer.config, EvaluationCache(Ranks())
        settings = config.sets["half"]
        data = cache.adaptation_data(settings, config.prior, (), config.model.saliency_map_factor, 0)
        found[words] = adapt(trainer.model.eval(), Study(config, cache).not_learned(settings), data, TORCH)
    own, none = found.values()
    assert own.ig_bits[()].mean() - none.ig_bits[()].mean() > 0.1
    assert own.ig_bits[ADAPTED].mean() - none.ig_bits[ADAPTED].mean() == pytest.approx(0, abs=0.01)
    # relative to the average of the others, sqrt(2)
    fitted = np.mean([fit.scale for fit in own.fits[("scale",)]])
    assert fitted == pytest.approx(0.5 / 2**0.5, rel=0.1)


def ig_bits(trainer: Trainer, name: str) -> list[float]:
    """The log density (bits) at the fixations on each of a set's validation images, with the set's own numbers."""
    part, values = trainer.validation.parts[name], []
    for i in range(len(part)):
        batch = part.batch([i])
        with torch.no_grad():
            (density,) = densities(
                [trainer.model.on(name)], batch.features, [batch.center_bias], batch.grid, torch.float32
            )
        values.append(float(density.at(batch.image, batch.y, batch.x).mean()) * BITS_PER_NAT)
    return values


def test_one_set_under_two_names_has_the_same_numbers_twice_and_nothing_is_called_different(composed, tmp_path):
    """Neither between its names, nor between models with and without own numbers."""
    planted = Planted(tmp_path, composed, {"one": 1.0, "same": 1.0}, same_pictures=True)
    ig: dict[str, dict[str, list]] = {OWN: {"one": [], "same": []}, NONE: {"one": [], "same": []}}
    for numbers in (OWN, NONE):
        for seed in range(3):
            trainer = planted.trained(numbers, f"seed={seed}", "trainer.epochs=20")
            for name, of_trainings in ig[numbers].items():
                of_trainings.append(ig_bits(trainer, name))
            own = trainer.model.own_numbers() or {"one": {}, "same": {}}
            assert own["one"] == pytest.approx(own["same"], rel=0.01)
    differences = [np.array(ig[OWN][name]) - np.array(ig[NONE][name]) for name in ("one", "same")]
    low, high = crossed(differences).ci95
    assert low < 0 < high < 0.01
