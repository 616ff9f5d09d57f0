"""A finished run as a model of pysaliency's, the field's common tongue. pysaliency is imported when it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from entreg.errors import UserError
from entreg.predict import trained


def pysaliency_model(run: str | Path, *, caching: bool = False, **where: Any) -> Any:
    """The finished training in the folder `run` as a `pysaliency.Model`: log densities at each stimulus's own size.

        model = pysaliency_model("outputs/mine")
        model.information_gain(stimuli, fixations, baseline)

    caching: whether pysaliency keeps the density of every stimulus in memory; where: `device`, `weights`, `data` and
    `trust` as for `entreg.load`. UserError where pysaliency is not installed, and as for `entreg.load`.
    """
    try:
        import pysaliency
    except ImportError as error:
        raise UserError(
            f"pysaliency cannot be imported ({error}): pip install pysaliency 'numpy<2' torch (its release 0.2.22 "
            "does not know newer versions of numpy)"
        ) from error
    found = trained.load(run, **where)

    class TrainedModel(pysaliency.Model):
        """See `pysaliency_model`."""

        def _log_density(self, stimulus: Any) -> np.ndarray:
            # some versions hand over the pixels, others the stimulus
            return found.log_density(np.asarray(getattr(stimulus, "stimulus_data", stimulus)))

    return TrainedModel(caching=caching)
