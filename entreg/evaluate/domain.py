"""The images that arms are judged on, with everything that does not depend on the model."""
from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from entreg.config import Config, Synthetic
from entreg.data import synthetic
from entreg.data.density import density_map
from entreg.data.kde import FixationKde
from entreg.engine.study import Part, Study, kde_of
from entreg.evaluate import metrics
from entreg.evaluate.gold import GoldStandard, gold_standard

log = logging.getLogger(__name__)

ENOUGH_FOR_A_KDE = 200  # images; below, the KDE prior is markedly weaker, so that IG over it looks better


@dataclass(frozen=True)
class Domain:
    """One part of a study, in domain or out of domain.

    part: the images; settings: of their data set; config: of the run
    """

    part: Part
    config: Config
    settings: object

    @cached_property
    def log_gaussian(self) -> list[np.ndarray]:
        """(n_i,) nats: the Gaussian centre prior at each image's fixations."""
        return self.part.gaussian_log_priors(self.config.prior.gaussian_variance, self.config.prior.gaussian_nu)

    @cached_property
    def kde(self) -> FixationKde:
        """Of the fixations on all images of the data set that were found, not just on those judged."""
        return kde_of(self.part.resized, list(range(len(self.part.resized.sizes))), self.config)

    @cached_property
    def kde_images(self) -> int:
        """Images that the KDE prior is built from (each judged image is left out of its own)."""
        count = int((np.diff(self.part.resized.offsets) > 0).sum())
        if count < ENOUGH_FOR_A_KDE:
            log.warning(
                "%s: the KDE prior is built from %d images only (fewer than %d): IG over it is not comparable to the "
                "literature's", self.part.resized.dataset.name, count, ENOUGH_FOR_A_KDE,
            )
        return count

    @cached_property
    def log_kde(self) -> list[np.ndarray]:
        """(n_i,) nats: the KDE prior at each image's fixations, without that image's own."""
        found: list[np.ndarray] = [np.zeros(0)] * len(self.part)
        for size in sorted(set(self.part.sizes)):
            same = [i for i, s in enumerate(self.part.sizes) if s == size]
            y, x = (np.concatenate([self.part.fixations[i][axis].numpy() for i in same]) for axis in (0, 1))
            counts = [len(self.part.fixations[i][0]) for i in same]
            image = np.repeat([self.part.items[i] for i in same], counts)
            values = np.split(self.kde.log_density_at(y, x, image, *size), np.cumsum(counts)[:-1])
            for i, value in zip(same, values):
                found[i] = value
        return found

    @cached_property
    def gold(self) -> GoldStandard | None:
        """What other people's fixations on the same image predict; None where the data set does not tell people apart."""
        subject = self.part.resized.subject
        if subject is None:
            return None
        offsets = self.part.resized.offsets
        subjects = np.concatenate([subject[offsets[i] : offsets[i + 1]] for i in self.part.items])
        y, x = (np.concatenate([f[axis].numpy() for f in self.part.fixations]) for axis in (0, 1))
        image = np.repeat(np.arange(len(self.part)), [len(f[0]) for f in self.part.fixations])
        return gold_standard(y, x, image, subjects, np.array(self.part.sizes), np.concatenate(self.log_kde))

    @cached_property
    def gold_per_image(self) -> list[np.ndarray] | None:
        """(n_i,) nats: the gold standard at each image's fixations."""
        if self.gold is None:
            return None
        return np.split(self.gold.log_density, np.cumsum([len(f[0]) for f in self.part.fixations])[:-1])

    @cached_property
    def oracle_per_image(self) -> list[np.ndarray] | None:
        """(n_i,) nats: the true log density at each image's fixations, which synthetic data alone have."""
        if not isinstance(self.settings, Synthetic):
            return None
        pairs = zip(self.part.items, self.part.fixations)
        return [synthetic.true_log_density(self.settings, i)[y.numpy(), x.numpy()] for i, (y, x) in pairs]

    def blurred(self, i: int) -> np.ndarray:
        """(H, W): ground-truth density of image i, for CC and SIM."""
        y, x = self.part.fixations[i]
        return density_map(y.numpy(), x.numpy(), *self.part.sizes[i], self.settings.sigma_px)

    def elsewhere(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """(y, x) pixels in image i of all fixations on the data set's other images: shuffled AUC's nonfixations."""
        resized, item, (height, width) = self.part.resized, self.part.items[i], self.part.sizes[i]
        heights, widths = self._all_sizes
        others = np.r_[0 : resized.offsets[item], resized.offsets[item + 1] : len(resized.x)]
        return (
            metrics.rescaled_pixels(resized.y[others], heights[others], height),
            metrics.rescaled_pixels(resized.x[others], widths[others], width),
        )

    @cached_property
    def _all_sizes(self) -> tuple[np.ndarray, np.ndarray]:
        counts = np.diff(self.part.resized.offsets)
        return tuple(np.repeat([size[axis] for size in self.part.resized.sizes], counts) for axis in (0, 1))


def domains_of(study: Study) -> dict[str, Domain]:
    """`in_domain`: the validation images; `ood`: those of the other data set, where the config names one."""
    found = {"in_domain": Domain(study.validation, study.config, study.config.data)}
    if study.out_of_domain is not None:
        found["ood"] = Domain(study.out_of_domain, study.config, study.config.ood)
    return found
