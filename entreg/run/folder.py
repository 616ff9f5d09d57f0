"""The folder of a run and the folder of a sweep: every path in them, every state that a run can be in.

No other module spells the name of a file in a run folder.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from entreg import files
from entreg.config import Config
from entreg.errors import DataError, SettingError, brief
from entreg.run import checkpoint, migrations, records
from entreg.settings import differing

MOST_JOBS = 10_000  # of a sweep


class State(Enum):
    """How far a run has come."""

    FINISHED = "finished"
    FAILED = "failed"
    UNFINISHED = "unfinished"
    NOT_STARTED = "not started"


class RunFolder:
    """Everything that a person later needs to trust or repeat a number. Only the first rank writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / ".hydra/config.yaml"
        self.typed = path / ".hydra/overrides.yaml"
        self.hydra = path / ".hydra/hydra.yaml"
        self.log = path / "train.log"
        self.provenance = path / "provenance.json"
        self.failure = path / "failure.txt"
        self.done = path / "done.txt"
        self.owner = path / "owner.json"
        self.plan = path / "plan.json"
        # of a training
        self.metrics = path / "metrics.csv"
        self.steps = path / "steps.csv"
        self.last = path / "checkpoints/last.pt"
        self.final = path / "checkpoints/final.pt"
        self.center_bias = path / "center_bias.npz"
        self.loss_curves = path / "figures/loss_curves.png"
        self.bias_map = path / "figures/bias_map.png"
        self.predictions = path / "figures/predictions.png"
        # of an evaluation
        self.results = path / "results.json"
        self.report = path / "report.html"
        self.per_image = path / "per_image.csv"
        self.arms = path / "arms.csv"
        self.comparisons = path / "comparisons.csv"
        self.bias_maps = path / "bias_maps.npz"
        # of a prediction
        self.predictions_table = path / "predictions.csv"
        self.log_densities = path / "log_densities.hdf5"

    def __str__(self) -> str:
        return str(self.path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunFolder) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def numbered(self, epoch: int) -> Path:
        """The checkpoint that is kept of an epoch."""
        return self.path / f"checkpoints/epoch_{epoch:03d}.pt"

    @property
    def board(self) -> Path:
        """What TensorBoard reads."""
        return self.path / "tensorboard"

    def log_density(self, image: str) -> Path:
        """The log density predicted for an image, by its path below the folder of images."""
        return self.path / f"log_densities/{image}.npz"

    def pictures_of(self, image: str) -> tuple[Path, Path]:
        """The pictures of that density: alone, and over the photo."""
        return self.path / f"pictures/{image}.density.png", self.path / f"pictures/{image}.over_photo.png"

    def unfinished(self) -> list[Path]:
        """The checkpoints there are to go on from, the newest first."""
        numbered = sorted(self.path.glob("checkpoints/epoch_*.pt"), key=lambda path: (len(path.name), path.name))
        return [path for path in (self.last, *reversed(numbered)) if path.is_file()]

    @property
    def is_training(self) -> bool:
        """Whether a training has begun here: its config is written when its data and features are there."""
        return self.config.is_file() and self.read_config()["task"]["name"] == "train"

    @property
    def is_trained(self) -> bool:
        """Whether there is a finished training here."""
        return self.final.is_file()

    @property
    def state(self) -> State:
        """How far the run has come.

        A training is complete with its last checkpoint, an evaluation with its page, another task with `done`.
        """
        if any(path.is_file() for path in (self.done, self.final, self.report)):
            return State.FINISHED
        if self.failure.is_file():
            return State.FAILED
        return State.UNFINISHED if self.path.is_dir() else State.NOT_STARTED

    @property
    def state_said(self) -> str:
        """The state in words; of a failure with the last line of its message."""
        *_, reason = self.why_failed().splitlines() or [""]
        return self.state.value + (f": {brief(reason)[:80]}" if self.state is State.FAILED and reason else "")

    def why_failed(self) -> str:
        """The message of the failure; empty where there was none."""
        return self.failure.read_text(encoding="utf-8", errors="replace").strip() if self.failure.is_file() else ""

    def last_ig_bits(self) -> float | None:
        """The last validation IG (bit/fixation, Gaussian prior) of a finished training; None where there is none.

        DataError where its final checkpoint is damaged.
        """
        if not self.is_trained:
            return None
        history = checkpoint.read(self.final).get("history")
        row = _tested(self.final, records.row, history[-1] if isinstance(history, list) and history else None)
        return float(row["validation_ig_bits_per_fixation"])

    def finish(self) -> None:
        """Marks a task as finished that has no last file which says so."""
        files.write_text(self.done, "done\n")

    def read_config(self) -> dict[str, Any]:
        """The saved config as plain containers, in today's names. DataError where it cannot be read."""
        try:
            tree = files.read_yaml(self.config)
            if any("${" in text for text in _strings_in(tree)):
                raise ValueError("it holds an interpolation (${...}); what a run saves is resolved")
            if not (isinstance(tree, dict) and isinstance(tree.get("task"), dict) and "name" in tree["task"]):
                raise ValueError("it has no task")
            return migrations.today({str(key): value for key, value in tree.items()})
        except DataError:
            raise
        except Exception as error:  # whatever is stumbled over in a tree of another form
            reason = f"cannot be read as the config of a run: {brief(error)}"
            raise DataError(f"{self.config}: {reason}; {files.WAY_OUT}") from error

    def write_typed(self) -> None:
        """What was typed, and Hydra's own part of the config. Written by the job itself: its ranks do not know them."""
        if HydraConfig.initialized():
            hydra = HydraConfig.get()
            files.write_text(self.typed, OmegaConf.to_yaml(hydra.overrides.task))
            files.write_text(self.hydra, OmegaConf.to_yaml(OmegaConf.create({"hydra": hydra})))

    def write_config(self, config: Config) -> None:
        """The config, resolved, so that it means the same tomorrow."""
        files.write_text(self.config, OmegaConf.to_yaml(OmegaConf.structured(config)))

    def refuse_other_config(self, config: Config) -> None:
        """SettingError where the folder holds a run of another config; the message lists the keys that differ."""
        if not self.config.is_file():
            return
        keys = differing(self.read_config(), config)
        if keys:
            raise SettingError(
                f"{self} holds a run of another config; these settings differ: {', '.join(keys)}.\n"
                "  go on with that run    its settings are in .hydra/config.yaml\n"
                "  start a new one        another study=NAME (or hydra.run.dir=FOLDER)"
            )

    def write_plan(self, config: Config) -> None:
        """What the study is for and where it will be judged, as said when the run was first started: written once."""
        if not self.plan.is_file():
            foreign = {name: dataclasses.asdict(settings) for name, settings in config.ood.items()}
            plan = {"primary": dataclasses.asdict(config.evaluation.primary), "ood": foreign}
            files.write_json(self.plan, plan | {"sha256": _digest(plan)})

    def read_plan(self) -> dict[str, Any] | None:
        """The same, with the sources' names of today; None where the run has none.

        DataError where it cannot be read, and where it was changed: what a study was for is not said afterwards.
        """
        if not self.plan.is_file():
            return None
        plan = _tested(self.plan, records.plan, files.read_json(self.plan))
        if plan.pop("sha256", None) != _digest(plan):
            raise DataError(
                f"{self.plan} was changed after it was written (its checksum does not match).\n"
                "  bring it back from a copy\n"
                "  or remove it: then no outcome of this run counts as named beforehand"
            )
        return plan | {"ood": {name: migrations.data_set(settings) for name, settings in plan["ood"].items()}}

    def starts(self) -> list[dict[str, Any]]:
        """Where the run comes from: one entry for each time that it was started, the first one first.

        DataError where it cannot be read.
        """
        if not self.provenance.is_file():
            return []
        return _tested(self.provenance, records.starts, files.read_json(self.provenance))

    def read_typed(self) -> list[str] | None:
        """The words that the job was started with; None where there are none. DataError where they cannot be read."""
        return _tested(self.typed, records.words, files.read_yaml(self.typed)) if self.typed.is_file() else None

    def add_start(self, provenance: dict[str, Any]) -> None:
        """Adds an entry for this start."""
        files.write_json(self.provenance, [*self.starts(), provenance])


class SweepFolder:
    """The folder of a sweep; its runs lie in it, numbered."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.multirun = path / "multirun.yaml"
        self.submitted_code = path / ".submitit/code_version.txt"

    def run(self, number: int) -> RunFolder:
        """The folder of one job."""
        return RunFolder(self.path / str(number))

    def read_typed(self) -> list[str] | None:
        """The words that the sweep was started with; None where it is none. DataError where they cannot be read."""
        if not self.multirun.is_file():
            return None
        saved = files.read_yaml(self.multirun)
        typed = saved
        for key in ("hydra", "overrides", "task"):
            typed = typed.get(key) if isinstance(typed, dict) else None
        return _tested(self.multirun, records.words, typed)

    def begun(self) -> dict[int, list[str]]:
        """What was typed for each job that has begun, by its number, as the jobs themselves have left it."""
        numbers = sorted(int(path.name) for path in self.path.glob("[0-9]*") if path.name.isdecimal())
        typed = {number: self.run(number).read_typed() for number in numbers}
        return {number: words for number, words in typed.items() if words is not None}

    def trainings(self) -> list[RunFolder]:
        """The sweep's trainings, those not even started included; `path` may also be the folder of a single run."""
        places = [self.path, *sorted(self.path.glob("*"), key=lambda p: (len(p.name), p.name))]
        begun = [folder for folder in map(RunFolder, places) if folder.is_training]
        # a run writes its config when its data and features are there: before, its sweep alone knows of it
        return begun + [folder for folder in self._planned() if not folder.config.is_file()]

    def _planned(self) -> list[RunFolder]:
        if not self.multirun.is_file():
            return []
        try:
            saved = files.read_yaml(self.multirun)["hydra"]
            if not is_basic(saved["sweeper"]):  # which runs it would still have started nobody knows
                return []
            jobs = jobs_of(saved["sweeper"].get("params") or {}, saved["overrides"]["task"])
        except Exception as error:  # whatever is stumbled over in a tree of another form, Hydra's parser included
            # Hydra's parser shows the inside of its lexer
            why = "what was typed for it cannot be parsed" if isinstance(error, HydraException) else brief(error)
            reason = f"cannot be read as the config of a sweep: {why}"
            way_out = "restore it, or remove it: its runs are read without it"
            raise DataError(f"{self.multirun}: {reason}; {way_out}") from error
        tasks = [[word for word in job if word.startswith("task=")] for job in jobs]
        return [self.run(number) for number, task in enumerate(tasks) if task[-1:] in ([], ["task=train"])]


def _tested(path: Path, test: records.Test, content: Any) -> Any:
    why = test(content)
    if why is not None:
        raise DataError(f"{path}: {brief(why)}; {files.WAY_OUT}")
    return content


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _strings_in(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, (dict, list)):
        for one in [*tree, *tree.values()] if isinstance(tree, dict) else tree:
            yield from _strings_in(one)


def jobs_of(params: Mapping[str, Any], typed: Sequence[str]) -> list[list[str]]:
    """The words of each job of a sweep, as Hydra's sweeper cuts them. SettingError where it has more than MOST_JOBS.

    params: of the sweeper's config; typed: the words of the command line
    """
    overrides = OverridesParser.create().parse_overrides([f"{k}={v}" for k, v in params.items()] + list(typed))
    count = 1
    for override in overrides:
        if override.is_sweep_override():
            if not override.is_discrete_sweep():
                raise SettingError(
                    f"{override.input_line}: to choose within an interval takes a sweeper that chooses\n"
                    "  try these values      KEY=0.1,1,10\n"
                    "  let Optuna choose     hydra/sweeper=optuna (pip install hydra-optuna-sweeper)"
                )
            # a range of a billion numbers is a short word
            count *= sum(1 for _ in islice(override.sweep_iterator(), MOST_JOBS + 1))
            if count > MOST_JOBS:
                raise SettingError(f"{' '.join(typed)}: these are more than {MOST_JOBS} jobs")
    return [list(job) for batch in BasicSweeper.split_arguments(overrides, None) for job in batch]


def is_basic(sweeper: Mapping[str, Any]) -> bool:
    """Whether this sweeper's config is of Hydra's own, which starts all combinations of what is typed."""
    # an old config may not say it
    return str(sweeper.get("_target_", BasicSweeper.__name__)).endswith(BasicSweeper.__name__)


def samples_of(params: Mapping[str, Any], typed: Sequence[str]) -> list[list[str]]:
    """The words of jobs that a sweeper may start which chooses by itself, such as Optuna's: enough to check each value.

    Of an interval these are the ends; each value stands in one job, beside the first of all others.
    """
    choices = []
    for override in OverridesParser.create().parse_overrides([f"{k}={v}" for k, v in params.items()] + list(typed)):
        key = override.get_key_element()
        if not override.is_sweep_override():
            choices.append([str(override.input_line)])
        elif override.is_discrete_sweep():
            choices.append([f"{key}={value}" for value in islice(override.sweep_string_iterator(), MOST_JOBS)])
        else:
            interval: Any = override.value()
            choices.append([f"{key}={end}" for end in (interval.start, interval.end)])
    first = [words[0] for words in choices]
    return [first] + [[*first[:i], word, *first[i + 1 :]] for i, words in enumerate(choices) for word in words[1:]]


def plain(config: Config) -> dict[str, Any]:
    """The config as plain containers, for checkpoints."""
    return dataclasses.asdict(config)
