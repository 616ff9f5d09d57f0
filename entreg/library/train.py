"""Train a model from a script or a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entreg.cli import in_process
from entreg.config import Config
from entreg.data.memory_data import MemoryData
from entreg.errors import UserError
from entreg.library.compose import Composed, words_of
from entreg.library.given_data import words_for
from entreg.prediction import trained_model
from entreg.prediction.trained_model import TrainedModel
from entreg.study.finished_run import finished, saved

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Epoch:
    """The figures of one epoch: a row of metrics.csv, without the numbers that sets have of their own."""

    epoch: int
    lr: float
    train_nll_nats: float
    validation_nll_nats: float
    validation_ig_bits_per_fixation: float
    bias_entropy_nats: float
    center_bias_weight: float
    sigma_px: float
    images_per_s: float
    seconds: float


@dataclass(frozen=True)
class TrainedRun:
    """A finished training: its folder, the config that it was trained with, and the figures of each epoch.

    own_numbers: by set, the numbers that it has of its own (model.per_set): `scale`, `sigma_px`, `center_bias_weight`
    """

    folder: Path
    config: Config
    epochs: tuple[Epoch, ...]
    own_numbers: Mapping[str, Mapping[str, float]]

    def to_pandas(self) -> pd.DataFrame:
        """Return a row for each epoch."""
        import pandas as pd

        return pd.DataFrame([asdict(epoch) for epoch in self.epochs])

    def load(self, **where: Any) -> TrainedModel:
        """Return the trained model; where: as for `entreg.load`."""
        return trained_model.load(self.folder, **where)


def train(
    job: Composed | Sequence[str] = (),
    *,
    folder: str | Path | None = None,
    data: MemoryData | None = None,
    foreign: Mapping[str, MemoryData] | None = None,
) -> TrainedRun:
    """Train one model, as `python train.py OVERRIDES` does, and return the finished run.

        run = entreg.train(["loss=nll_entropy", "trainer.epochs=5"], folder="runs/regularised")
        run.to_pandas().plot(x="epoch", y="validation_nll_nats")

    Given again for the same folder, it goes on with an unfinished run and returns a finished one. With several devices
    it starts processes, so that a script needs Python's `if __name__ == "__main__":`.

    job: overrides, or what `entreg.compose` made of them
    folder: that of the run; None: outputs/STUDY, as on the command line
    data: a data set in memory, in place of `data=NAME`
    foreign: foreign sets in memory by their names, beside those of `ood=[...]`

    Raises a SettingError that names what is wrong before anything starts, and the UserError with which a training
    fails; the folder keeps it as failure.txt. Raises KeyboardInterrupt after Ctrl-C, when all is saved.
    """
    words = words_of(job, folder)
    run, _ = in_process.perform([*words, *words_for(words, data, foreign), "task=train"])
    if not run.is_trained:
        raise UserError(f"{run}: the training was stopped on request and has saved; the same call goes on")
    done = finished(run, saved(run, loads_data=False))
    names = [field.name for field in fields(Epoch)]
    epochs = tuple(Epoch(**{name: row[name] for name in names}) for row in done.history)
    return TrainedRun(run.path, done.config, epochs, done.own_numbers())
