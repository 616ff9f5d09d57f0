"""The way to and from pysaliency, the field's evaluation library, which is only imported on use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from entreg.data.images import eight_bit_as_in_files
from entreg.data.memory_data import MemoryData
from entreg.errors import UserError
from entreg.prediction import trained_model


def pysaliency_model(run: str | Path, *, caching: bool = False, **where: Any) -> Any:
    """Return the finished training in the folder `run` as a `pysaliency.Model`.

    It predicts log densities at each stimulus's own size.

        model = pysaliency_model("outputs/mine")
        model.information_gain(stimuli, fixations, baseline)

    caching: whether pysaliency keeps the density of every stimulus in memory
    where: `device`, `weights` and `allow`, as for `entreg.load`

    Raises a UserError where pysaliency is not installed, and the errors of `entreg.load`.
    """
    try:
        import pysaliency
    except ImportError as error:
        raise UserError(
            f"pysaliency cannot be imported ({error}): pip install pysaliency 'numpy<2' torch (its release 0.2.22 "
            "does not know newer versions of numpy)"
        ) from error
    trained = trained_model.load(run, **where)

    class PysaliencyModel(pysaliency.Model):  # type: ignore[misc]  # pysaliency has no types
        """A pysaliency model that predicts with the finished run."""

        def _log_density(self, stimulus: Any) -> np.ndarray:
            return trained.log_density(_picture(stimulus))

    return PysaliencyModel(caching=caching)


def memory_data(name: str, stimuli: Any, fixations: Any) -> MemoryData:
    """Return stimuli and fixations of pysaliency's as a data set in memory, for `entreg.train`.

        data = memory_data("mit1003", *pysaliency.get_mit1003(location="data"))

    All fixations are used, as with data=pysaliency. Stimuli that are files are read from these.
    """
    filenames = getattr(stimuli, "filenames", None)
    images = filenames if filenames is not None else [eight_bit_as_in_files(np.asarray(one)) for one in stimuli.stimuli]
    people: Any = getattr(fixations, "subject", getattr(fixations, "subjects", None))
    several = people is not None and len(np.unique(people)) > 1  # pysaliency fills unknown subjects with one value
    subject = np.unique(people, return_inverse=True)[1] if several else None
    return MemoryData(name, list(images), np.asarray(fixations.n), fixations.x, fixations.y, subject)


def _picture(stimulus: Any) -> Path | np.ndarray:
    """Return the file of a stimulus where it is known, so that its pixels are those of a training, else its pixels.

    stimulus: of pysaliency, or its pixels, which some versions of pysaliency pass
    """
    filenames = getattr(getattr(stimulus, "stimuli", None), "filenames", None)
    if filenames is not None:
        return Path(filenames[stimulus.index])
    return eight_bit_as_in_files(np.asarray(getattr(stimulus, "stimulus_data", stimulus)))
