"""Whether the data sets that are judged are those that the runs recorded when they were trained."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from entreg.config.settings import settings_of
from entreg.data.fingerprint import Fingerprint
from entreg.errors import UserError
from entreg.results.schema import Identity
from entreg.study import changed_sets
from entreg.study.finished_run import FinishedRun
from entreg.study.study import Study

log = logging.getLogger(__name__)


class JudgedSets:
    """The data sets of some runs, by key, as they are now and as the runs recorded them; see `Config.data_sets`.

    changed: how sets have changed since the trainings, where that was accepted
    unrecorded: the runs that recorded no fingerprint of a set
    """

    def __init__(self, runs: Sequence[tuple[FinishedRun, Study]], accept: Sequence[str]) -> None:
        """Compare all sets. Raises a UserError where one has changed in a way that is not in `accept`.

        runs: with their studies; published models, which were not trained here, have nothing to compare
        """
        trained = [(run, study) for run, study in runs if run.fixed is None]
        self.now: dict[str, Fingerprint] = {}
        self.changed: dict[str, list[str]] = {}
        self.unrecorded: dict[str, list[str]] = {}
        self._accept = accept
        self._recorded = {
            run.folder: changed_sets.recorded(run.folder, run.state["fingerprints"]) for run, _ in trained
        }
        for run, study in trained:
            self._compare(run, study)
            self.now = study.sets | self.now
        self._refuse_different_trainings([run for run, _ in trained])
        for key, names in self.unrecorded.items():
            log.warning("%s: no fingerprint was recorded by %s; a change could not be noticed", key, ", ".join(names))

    @property
    def why(self) -> str:
        """Why nothing that was planned can be tested on changed data."""
        sets = "; ".join(f"{key}: {', '.join(words)}" for key, words in self.changed.items())
        return f"the data have changed since the training, which was accepted ({sets})"

    def identity(self, key: str) -> Identity:
        """Return what a set is recognised by."""
        digests = self.now[key].digests()
        return Identity(
            digests["images"], digests["fixations"], self.changed.get(key, []), self.unrecorded.get(key, [])
        )

    def _compare(self, run: FinishedRun, study: Study) -> None:
        recorded, digests = self._recorded[run.folder], run.state["fingerprints"]
        changes = changed_sets.since(recorded, study.sets)
        for key, of_set in changes.items():
            refused = [change.words for change in of_set if change.kind not in self._accept]
            if refused:
                kinds = sorted({change.kind for change in of_set})
                root = study.config.data_sets[key].root
                raise UserError(
                    f"{run.folder}: the data set {key} ({root}) has changed since the training: "
                    f"{', '.join(refused)}; bring back what was there, or judge what is there, as exploratory: "
                    f"evaluation.accept=[{','.join(kinds)}]"
                )
            self.changed[key] = list(dict.fromkeys(self.changed.get(key, []) + [change.words for change in of_set]))
        # earlier versions recorded the names of the images that are used, and the fixations on them
        known = ["weights"] if recorded else ["data", "weights"]
        other = [key for key in known if study.fingerprints[key] != digests.get(key)]
        if other:
            raise UserError(
                f"{run.folder} was trained on other contents than are there now: {', '.join(other)} changed; "
                "give the folder of those that it was trained on (paths.data=PATH, paths.weights=PATH)"
            )
        for key in study.sets.keys() - recorded.keys():
            self.unrecorded.setdefault(key, []).append(str(run.folder))

    def _refuse_different_trainings(self, runs: Sequence[FinishedRun]) -> None:
        """Raise a UserError where runs of the same settings were trained on different data."""
        first: dict[str, FinishedRun] = {}
        for run in runs:
            if not self._recorded[run.folder]:
                continue
            for key in filter(changed_sets.is_trained_on, run.config.data_sets):
                of_set = settings_of(run.config.data_sets[key], f"{key}.")
                chosen = {setting.key: setting.value for setting in of_set if setting.affects == "result"}
                other = first.setdefault(repr(chosen), run)
                then, now = (self._recorded[one.folder][key] for one in (other, run))
                changes = then.changes(now, trained_on=True)
                if changes:
                    raise UserError(
                        f"{run.folder} was trained on other data than {other.folder}, so they cannot be compared: "
                        f"{', '.join(change.words for change in changes)}; evaluate them separately (runs=FOLDER)"
                    )
