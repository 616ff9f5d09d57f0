"""As images of which set a run predicts: with the set's own numbers and centre bias, or with those of all sets."""

from __future__ import annotations

import logging

from entreg.config.settings import nearest
from entreg.errors import DataError, SettingError
from entreg.model.deepgaze3 import DeepGaze3
from entreg.priors.center_bias import CenterBias
from entreg.study.finished_run import FinishedRun
from entreg.study.training_sets import training_sets_of

log = logging.getLogger(__name__)


def chosen(
    run: FinishedRun, model: DeepGaze3, center_bias: CenterBias, of_set: str | None
) -> tuple[DeepGaze3, CenterBias]:
    """Return the model and the centre bias that predict images of a set, and log which these are.

    model, center_bias: those of the run; of_set: one of the sets that it learned from; None: images of none of them

    Raises a SettingError where the run did not learn from the set, and a DataError where its folder lacks the set's
    centre bias.
    """
    sets = [settings.name for settings in training_sets_of(run.config).sets]
    numbers = model.own_numbers()
    if of_set is None:
        if len(sets) > 1:
            averages = ", and with the averages of their own numbers" if numbers else ""
            log.info("predicting with the centre bias of %s together%s", ", ".join(sets), averages)
        return model, center_bias
    if of_set not in sets:
        raise SettingError(f"set={of_set}: {run.folder} did not learn from it{nearest(of_set, sets)}")
    if len(sets) > 1 and center_bias.kde is not None and of_set not in center_bias.of_sets:
        raise DataError(
            f"{run.folder.center_bias}: holds no centre bias of {of_set}, but that of all sets together alone; predict "
            "without the set"
        )
    own = "".join(f", {number} {value:.3f}" for number, value in numbers.get(of_set, {}).items())
    log.info("predicting as for images of %s: with its centre bias%s", of_set, own)
    return model.of_each_set().get(of_set, model), center_bias.of_set(of_set)
