"""The folder of a run and the folder of a sweep: every path in them, and every state of a run.

No other module contains the name of a file in a run folder.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from entreg.config import Config
from entreg.config.settings import differing
from entreg.errors import DataError, SettingError, brief
from entreg.io import files
from entreg.runs import migrations, records
from entreg.runs.submission import PlannedRun, Submission


class State(Enum):
    """How far a run has come."""

    FINISHED = "finished"
    FAILED = "failed"
    UNFINISHED = "unfinished"
    NOT_STARTED = "not started"


class RunFolder:
    """The folder of a run, with all that is needed to trust or repeat its numbers. Only the first rank writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / ".hydra/config.yaml"
        self.typed = path / ".hydra/overrides.yaml"
        self.hydra = path / ".hydra/hydra.yaml"
        self.log = path / "train.log"
        self.provenance = path / "provenance.json"
        self.failure = path / "failure.txt"
        self.ending = path / "ending.json"
        self.done = path / "done.txt"
        self.owner = path / "owner.json"
        self.plan = path / "plan.json"
        self.fingerprints = path / "fingerprints.json"
        # written by a training
        self.metrics = path / "metrics.csv"
        self.steps = path / "steps.csv"
        self.loggers = path / "loggers.json"
        self.last = path / "checkpoints/last.pt"
        self.final = path / "checkpoints/final.pt"
        self.center_bias = path / "center_bias.npz"
        self.loss_curves = path / "figures/loss_curves.png"
        self.bias_map = path / "figures/bias_map.png"
        self.predictions = path / "figures/predictions.png"
        # written by an evaluation
        self.results = path / "results.json"
        self.report = path / "report.html"
        self.per_image = path / "per_image.csv"
        self.arms = path / "arms.csv"
        self.comparisons = path / "comparisons.csv"
        self.bias_maps = path / "bias_maps.npz"
        self.evidence = path / "evidence.npz"
        self.others = path / "others.csv"
        self.illustrations = path / "illustrations.npz"
        # written for a paper
        self.arms_table = path / "figures/arms.tex"
        # written by a preview
        self.preview = path / "preview.html"
        # written by a prediction
        self.predictions_table = path / "predictions.csv"
        self.log_densities = path / "log_densities.hdf5"

    def __str__(self) -> str:
        return str(self.path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunFolder) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def numbered(self, epoch: int) -> Path:
        """Return the path of the numbered checkpoint of an epoch."""
        return self.path / f"checkpoints/epoch_{epoch:03d}.pt"

    @property
    def board(self) -> Path:
        """The folder that TensorBoard reads."""
        return self.path / "tensorboard"

    def preview_picture(self, data_set: str, number: int, kind: str) -> Path:
        """Return the path of a picture of a data set.

        data_set: its key, such as `data` or `ood.scene50`; kind: png or svg
        """
        return self.path / f"preview/{data_set}/{number:02d}.{kind}"

    def log_density(self, image: str) -> Path:
        """Return the file of the log density of an image, which is named by its path below the folder of images."""
        return self.path / f"log_densities/{image}.npz"

    def pictures_of(self, image: str) -> tuple[Path, Path]:
        """Return the paths of the two pictures of that density: alone, and over the photo."""
        return self.path / f"pictures/{image}.density.png", self.path / f"pictures/{image}.over_photo.png"

    def figure(self, name: str, width_mm: int, kind: str) -> Path:
        """Return the path of a figure for a paper; kind: pdf, svg or png."""
        return self.path / f"figures/{name}_{width_mm}mm.{kind}"

    def figure_numbers(self, name: str) -> Path:
        """Return the path of the numbers behind a figure."""
        return self.path / f"figures/{name}.csv"

    @property
    def sums(self) -> Path:
        """The sums of the files of an evaluation or a prediction."""
        return self.path / "SHA256SUMS"

    @property
    def sealed(self) -> tuple[Path, ...]:
        """The files of a training whose sums its final checkpoint holds: they tell how it came about."""
        return self.provenance, self.typed, self.plan, self.fingerprints, self.center_bias

    @property
    def judgement(self) -> tuple[Path, ...]:
        """The files of an evaluation whose sums stand beside them."""
        tables = self.per_image, self.arms, self.comparisons, self.bias_maps, self.evidence, self.illustrations
        return self.config, self.typed, self.provenance, *tables, self.others, self.results, self.report

    def unfinished(self) -> list[Path]:
        """Return the checkpoints from which the run can resume, the newest first."""
        numbered = sorted(self.path.glob("checkpoints/epoch_*.pt"), key=lambda path: (len(path.name), path.name))
        return [path for path in (self.last, *reversed(numbered)) if path.is_file()]

    @property
    def is_training(self) -> bool:
        """Whether a training has begun here. It writes its config once its data and features are ready."""
        return self.config.is_file() and self.read_config()["task"]["name"] == "train"

    @property
    def is_trained(self) -> bool:
        """Whether a training has finished here."""
        return self.final.is_file()

    @property
    def owes_pictures(self) -> bool:
        """Whether the training has finished without its pictures and kept the checkpoint to draw them from."""
        pictures = self.loss_curves, self.bias_map, self.predictions
        return self.is_trained and self.last.is_file() and not all(path.is_file() for path in pictures)

    @property
    def is_finished(self) -> bool:
        """Whether the run has finished, see `state`."""
        return self.state is State.FINISHED

    @property
    def state(self) -> State:
        """How far the run has come.

        A training has finished when its final checkpoint exists, an evaluation when its page does, and another task
        when `done` does.
        """
        if any(path.is_file() for path in (self.done, self.final, self.report)):
            return State.FINISHED
        if self.failure.is_file():
            return State.FAILED
        return State.UNFINISHED if self.path.is_dir() else State.NOT_STARTED

    @property
    def state_in_words(self) -> str:
        """The state in words, with the reason in a line where the run has failed or its job was ended from outside."""
        if self.owes_pictures:
            return "trained, pictures owed"
        state = self.state
        if state is State.FAILED:
            reason = records.reason(self.why_failed())
        else:
            reason = "" if state is State.FINISHED else self.how_ended()
        return state.value + (f": {brief(reason)[:80]}" if reason else "")

    def how_ended(self) -> str:
        """Return how the run's last job was ended from outside, in words; nothing where that is not known."""
        if not self.ending.is_file():
            return ""
        return str(_tested(self.ending, records.ending, files.read_json(self.ending))["how"])

    def write_ending(self, how: str, job: str) -> None:
        """Record how the run's job ended, for a job that could not do so itself.

        how: in words; job: SLURM's id
        """
        files.write_json(self.ending, {"how": how, "job": job})

    def why_failed(self) -> str:
        """Return the message of the failure, or nothing where there was none."""
        return self.failure.read_text(encoding="utf-8", errors="replace").strip() if self.failure.is_file() else ""

    def last_ig_bits(self) -> float | None:
        """Return the last validation IG (bit/fixation, Gaussian prior), or None where no training has finished.

        Raises a DataError where the final checkpoint is damaged.
        """
        if not self.is_trained:
            return None
        from entreg.runs import checkpoint  # late, since it loads PyTorch, and a status must not wait for that

        history = checkpoint.read(self.final).get("history")
        row = _tested(self.final, records.row, history[-1] if isinstance(history, list) and history else None)
        return float(row["validation_ig_bits_per_fixation"])

    def finish(self) -> None:
        """Mark as finished a task that has no final file of its own."""
        files.write_text(self.done, "done\n")

    def read_config(self) -> dict[str, Any]:
        """Return the saved config as plain containers, with today's names.

        Raises a DataError where it cannot be read.
        """
        try:
            tree = files.read_yaml(self.config)
            if any("${" in text for text in _strings_in(tree)):
                raise ValueError("it holds an interpolation (${...}); what a run saves is resolved")
            if not (isinstance(tree, dict) and isinstance(tree.get("task"), dict) and "name" in tree["task"]):
                raise ValueError("it has no task")
            return migrations.today({str(key): value for key, value in tree.items()})
        except DataError:
            raise
        except Exception as error:  # a malformed tree raises errors of many kinds
            reason = f"cannot be read as the config of a run: {brief(error)}"
            raise DataError(f"{self.config}: {reason}; {files.WAY_OUT}") from error

    def write_typed(self, words: Sequence[str], hydra_config: str) -> None:
        """Write the words that the job was started with, and Hydra's own part of the config, as YAML.

        The job itself writes them, because its ranks do not know them.
        """
        files.write_text(self.typed, yaml.safe_dump(list(words), allow_unicode=True))
        files.write_text(self.hydra, hydra_config)

    def refuse_foreign_files(self) -> None:
        """Raise a SettingError where the folder holds runs, or before the first start files that entreg never writes.

        Nothing in such a folder may be written or removed.
        """
        ours = {path.relative_to(self.path).parts[0] for path in self._written}
        found = sorted(self.path.iterdir()) if self.path.is_dir() else []
        runs = [path.name for path in found if path.name not in ours and RunFolder(path).typed.is_file()]
        others = [path.name for path in found if path.name not in ours and not files.TEMPORARY.fullmatch(path.name)]
        if runs or others and not self.typed.is_file():
            names = ", ".join(map(brief, (runs or others)[:3]))
            what = "runs" if runs else "files that entreg does not write"
            raise SettingError(
                f"{self} is not the folder of a run: it holds {what} ({names}), and nothing is changed there.\n"
                "  choose another   study=NAME (or hydra.run.dir=FOLDER)"
            )

    def remove_temporary(self) -> None:
        """Remove the unfinished writes of a killed process. No process may be writing."""
        for folder in {path.parent for path in self._written}:
            files.remove_temporary(folder)
        for name in ("log_densities", "pictures", "preview"):  # each holds folders of images or data sets
            for below in (path for path in (self.path / name).rglob("*") if path.is_dir()):
                files.remove_temporary(below)

    @property
    def _written(self) -> list[Path]:
        """Every file that tasks write, and one of each kind where there are many."""
        fixed = [path for path in vars(self).values() if isinstance(path, Path) and path != self.path]
        many = self.numbered(1), self.log_density("a"), *self.pictures_of("a"), self.preview_picture("data", 0, "png")
        return [*fixed, self.board, self.path / "wandb", self.sums, *many]

    def write_config(self, config: Config) -> None:
        """Write the resolved config."""
        files.write_text(self.config, OmegaConf.to_yaml(OmegaConf.structured(config)))

    def refuse_other_config(self, config: Config) -> None:
        """Raise a SettingError that lists the differing settings where the folder holds a run of another config."""
        if not self.config.is_file():
            return
        saved = self.read_config()
        keys = differing(saved, config)
        if keys:
            values = {key: OmegaConf.select(OmegaConf.create(saved), key) for key in keys}
            of_run = [f"{key}={value}" for key, value in values.items() if isinstance(value, (bool, int, float, str))]
            raise SettingError(
                f"{self} holds a run of another config; these settings differ: {', '.join(keys)}.\n"
                f"  resume that run        {' '.join([*of_run, 'as in its .hydra/config.yaml'])}\n"
                "  start a new one        another study=NAME (or hydra.run.dir=FOLDER)"
            )

    def write_plan(self, config: Config) -> None:
        """Write the study's primary outcome and foreign sets, once, when the run is first started."""
        if not self.plan.is_file():
            foreign = {name: dataclasses.asdict(settings) for name, settings in config.ood.items()}
            plan = {"primary": dataclasses.asdict(config.evaluation.primary), "ood": foreign}
            files.write_json(self.plan, plan | {"sha256": _digest(plan)})

    def read_plan(self) -> dict[str, Any] | None:
        """Return the study's primary outcome and foreign sets, or None where the run has no plan.

        Raises a DataError where the plan cannot be read or was changed, because a primary outcome must not be chosen
        afterwards.
        """
        if not self.plan.is_file():
            return None
        plan: dict[str, Any] = _tested(self.plan, records.plan, files.read_json(self.plan))
        if plan.pop("sha256", None) != _digest(plan):
            raise DataError(
                f"{self.plan} was changed after it was written (its checksum does not match).\n"
                "  restore it from a copy\n"
                "  or remove it: then no outcome of this run counts as chosen beforehand"
            )
        return plan | {"ood": {name: migrations.data_set(settings) for name, settings in plan["ood"].items()}}

    def starts(self) -> list[dict[str, Any]]:
        """Return the provenance of each start of the run, the first one first.

        Raises a DataError where it cannot be read.
        """
        if not self.provenance.is_file():
            return []
        starts: list[dict[str, Any]] = _tested(self.provenance, records.starts, files.read_json(self.provenance))
        return starts

    def read_typed(self) -> list[str] | None:
        """Return the words that the job was started with, or None where none are recorded.

        Raises a DataError where they cannot be read.
        """
        if not self.typed.is_file():
            return None
        words: list[str] = _tested(self.typed, records.words, files.read_yaml(self.typed))
        return words

    def add_start(self, provenance: dict[str, Any]) -> None:
        """Append the provenance of this start."""
        files.write_json(self.provenance, [*self.starts(), provenance])

    def amend_start(self, **facts: Any) -> None:
        """Add facts to the provenance of the newest start, where it is recorded."""
        starts = self.starts()
        if starts:
            files.write_json(self.provenance, [*starts[:-1], starts[-1] | facts])


class SweepFolder:
    """The folder of a sweep, which contains those of its runs: `0`, `1`, ..., or as hydra.sweep.subdir names them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.multirun = path / "multirun.yaml"
        self.jobs = path / "jobs.json"
        # written by a sweeper that chooses the jobs one by one
        self.trials = path / "trials.json"
        self.optimum = path / "optimization_results.yaml"
        self.submitted = path / "submitted.json"
        self.submitted_code = path / ".submitit/code_version.txt"
        self.evaluation = RunFolder(path / "evaluation")

    def run(self, number: int) -> RunFolder:
        """Return the folder of one job, whatever its name. Raises a DataError where the record cannot be read."""
        names = self._names
        return RunFolder(self.path / (names[number] if number < len(names) else str(number)))

    @cached_property
    def _names(self) -> list[str]:
        """The names of the planned runs' folders, read once: a sweep of thousands asks for each of them."""
        return [run.folder for run in self.read_jobs() or []]

    def read_typed(self) -> list[str] | None:
        """Return the words that the sweep was started with, or None where this is not a sweep.

        Raises a DataError where they cannot be read.
        """
        return self._overrides("task")

    def read_typed_for_hydra(self) -> list[str] | None:
        """Return the words of that command that are for Hydra itself, such as hydra/launcher=NAME; else as above."""
        words = self._overrides("hydra")
        return words and [word for word in words if not word.startswith("hydra.mode=")]

    def _overrides(self, kind: str) -> list[str] | None:
        if not self.multirun.is_file():
            return None
        typed = files.read_yaml(self.multirun)
        for key in ("hydra", "overrides", kind):
            typed = typed.get(key) if isinstance(typed, dict) else None
        words: list[str] = _tested(self.multirun, records.words, typed)
        return words

    def begun(self) -> list[PlannedRun]:
        """Return the jobs that have begun, with the words that each has recorded itself."""
        folders = sorted(self.path.glob("*"), key=lambda path: (len(path.name), path.name))
        typed = {path.name: RunFolder(path).read_typed() for path in folders}
        return [PlannedRun(words, name) for name, words in typed.items() if words is not None]

    def trainings(self) -> list[RunFolder]:
        """Return the trainings of the sweep, including those that have not started.

        `path` may also be the folder of a single run.
        """
        planned = self._planned()
        folders = [self.path, *sorted(self.path.glob("*"), key=lambda path: (len(path.name), path.name))]
        known = dict.fromkeys([*map(RunFolder, folders), *planned])
        begun = [folder for folder in known if folder.is_training]
        # a run writes its config once its data and features are ready; until then only the sweep knows it
        return begun + [folder for folder in planned if not folder.config.is_file()]

    def write_jobs(self, jobs: Sequence[PlannedRun] | None) -> None:
        """Record all jobs before the first one starts; None where a sweeper chooses them one by one."""
        self.__dict__.pop("_names", None)
        if jobs is None:
            self.jobs.unlink(missing_ok=True)
        else:
            files.write_json(self.jobs, [{"words": list(words), "folder": folder} for words, folder in jobs])

    def read_jobs(self) -> list[PlannedRun] | None:
        """Return the jobs that the sweep was started for; None where none were recorded.

        Raises a DataError where the record cannot be read.
        """
        if not self.jobs.is_file():
            return None
        return migrations.planned(_tested(self.jobs, records.jobs, files.read_json(self.jobs)))

    def write_trials(self, trials: Sequence[dict[str, Any]]) -> None:
        """Record the values, by key, of each trial that a sweeper has chosen, before it starts."""
        files.write_json(self.trials, list(trials))

    def read_trials(self) -> list[dict[str, Any]]:
        """Return the recorded trials. Raises a DataError where the record cannot be read."""
        if not self.trials.is_file():
            return []
        trials: list[dict[str, Any]] = _tested(self.trials, records.trials, files.read_json(self.trials))
        return trials

    def write_optimum(self, optimum: dict[str, Any]) -> None:
        """Write the best trial."""
        files.write_text(self.optimum, yaml.safe_dump(optimum, allow_unicode=True))

    def add_submission(self, submission: Submission) -> None:
        """Record jobs that SLURM has just accepted."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        files.write_json(self.submitted, [*self._submitted(), {**submission._asdict(), "at": now}])

    def submissions(self) -> list[Submission]:
        """Return what was submitted to SLURM, the first submission first.

        Raises a DataError where the record cannot be read.
        """
        return [Submission(one["job"], one["runs"]) for one in self._submitted()]

    def submitted_at(self) -> list[str]:
        """Return when jobs were submitted to SLURM, as ISO 8601, where that was recorded; else as above."""
        return [one["at"] for one in self._submitted() if "at" in one]

    def evaluations(self) -> list[str]:
        """Return SLURM's ids of the evaluations that were submitted with the runs: their jobs have no run."""
        return [job for submission in self.submissions() for job, runs in submission.tasks() if not runs]

    def job_ids(self) -> dict[int, str]:
        """Return SLURM's id of the last job of each run, by the run's number."""
        return {run: job for submission in self.submissions() for job, runs in submission.tasks() for run in runs}

    def _submitted(self) -> list[dict[str, Any]]:
        if not self.submitted.is_file():
            return []
        content: list[dict[str, Any]] = _tested(self.submitted, records.submissions, files.read_json(self.submitted))
        return content

    def _planned(self) -> list[RunFolder]:
        """Return the trainings that the sweep was started for; none where a sweeper chose the jobs one by one."""
        planned = self.read_jobs()
        if planned is None:
            planned = migrations.planned(migrations.jobs_of_sweep(self.multirun))
        return [RunFolder(self.path / run.folder) for run in planned if run.is_training]


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
        for item in [*tree, *tree.values()] if isinstance(tree, dict) else tree:
            yield from _strings_in(item)


def plain(config: Config) -> dict[str, Any]:
    """Return the config as plain containers, for checkpoints."""
    return dataclasses.asdict(config)
