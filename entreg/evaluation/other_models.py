"""Judge maps of other models on the images of the arms, by the same metrics, outside all comparisons and verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from entreg.data.dataset import Stimulus
from entreg.errors import DataError, SettingError
from entreg.evaluation import differences
from entreg.evaluation.differences import Values
from entreg.evaluation.domain import Domain
from entreg.evaluation.evaluated_runs import EvaluatedRuns
from entreg.evaluation.metrics import METRICS, scores_of
from entreg.evaluation.other_maps import OtherMaps
from entreg.evaluation.scored_image import OnMap, ScoredImage
from entreg.progress import Progress
from entreg.results.schema import OtherModel


@dataclass(frozen=True)
class Found:
    """The maps of a model for a domain; names: that of each image's map."""

    maps: OtherMaps
    names: Mapping[str, str]


class OtherModels:
    """The maps of other models, with the images of each domain that they are judged on.

    rows: after `judge`, those of others.csv: model, domain and the scores of an image
    """

    def __init__(self, paths: Mapping[str, Any], runs: EvaluatedRuns) -> None:
        """Find the map of every image before anything is judged.

        Raises a SettingError where an arm has the name of a model, or a data set is unknown, and a DataError where some
        images of a domain have a map and others have none, where no image has one, or where images of two sets would
        share a map.

        paths: by the name of the model, the path of its maps, or paths by the name of the data set
        """
        self.runs, self.rows = runs, list[dict[str, Any]]()
        self._found = {name: self._find(name, path) for name, path in paths.items()}

    def judge(self) -> dict[str, OtherModel]:
        """Judge all maps; return the results by the name of the model."""
        results = {}
        for name, by_domain in self._found.items():
            estimates = {}
            for domain, found in by_domain.items():
                tables = [self._scores(name, of_fold, found) for of_fold in self.runs.domains_of_folds(domain)]
                table = [row for rows in tables for row in rows]
                self.rows += [{"model": name, "domain": domain} | row for row in table]
                estimates[domain] = {
                    metric.key: differences.estimate(
                        Values([np.array([[row[metric.key] for row in table]])]), True, metric.bounds
                    )
                    for metric in METRICS
                    if metric.key in table[0]
                }
            kinds = {kind for found in by_domain.values() for kind in found.maps.kinds}
            files = dict.fromkeys(str(found.maps.path) for found in by_domain.values())
            results[name] = OtherModel(", ".join(files), sorted(kinds), estimates)
        return results

    def _find(self, model: str, paths: Any) -> dict[str, Found]:
        """Return the maps of a model by domain; a domain without any has no key."""
        key = f"evaluation.others.{model}"
        if model in {arm.name for arm in self.runs.arms}:
            raise SettingError(f"{key}: an arm has this name; choose another")
        sets = {domain.settings.name: name for name, domain in self.runs.domains.items()}
        if isinstance(paths, Mapping):
            unknown = [name for name in paths if name not in sets]
            if unknown:
                raise SettingError(f"{key}.{unknown[0]}: no such data set is judged; there are {', '.join(sets)}")
            by_domain = {sets[name]: OtherMaps(Path(str(path)).expanduser()) for name, path in paths.items()}
        else:
            by_domain = dict.fromkeys(self.runs.domains, OtherMaps(Path(str(paths)).expanduser()))
        found = {domain: Found(maps, maps.of(self._stimuli(domain))) for domain, maps in by_domain.items()}
        found = {domain: of_domain for domain, of_domain in found.items() if of_domain.names}
        if not found:
            raise DataError(f"{key}: {next(iter(by_domain.values())).path} has no map of any image that is judged")
        self._refuse_doubt(key, found)
        return found

    def _refuse_doubt(self, key: str, found: Mapping[str, Found]) -> None:
        """Raise a DataError where a map is that of images of two sets, or not all images of a set have one."""
        name_set = f"\n  name the set of the maps   +{key}.SET=PATH"
        meant: dict[tuple[Path, str], str] = {}
        for domain, of_domain in found.items():
            for image, name in of_domain.names.items():
                other = meant.setdefault((of_domain.maps.path, name), domain)
                if other != domain:
                    raise DataError(
                        f"{key}: the map {name} may be that of {image} {other} or {domain}, which have images of the "
                        f"same name{name_set}"
                    )
        for domain, of_domain in found.items():
            missing = [one.name for one in self._stimuli(domain) if one.name not in of_domain.names]
            if missing:
                raise DataError(
                    f"{key}: {of_domain.maps.path} has maps of {len(of_domain.names)} images {domain}, and none of "
                    f"{len(missing)} others, such as {missing[0]}: a model is judged on the same images as the arms"
                    f"{name_set}"
                )

    def _stimuli(self, name: str) -> list[Stimulus]:
        """Return the images that are judged in a domain."""
        return [one for domain in self.runs.domains_of_folds(name) for one in domain.subset.stimuli]

    def _scores(self, model: str, domain: Domain, found: Found) -> list[dict[str, Any]]:
        """Return the scores of each image of a domain."""
        rows = []
        with Progress(f"judging {model} on {domain.settings.name}", len(domain.subset), "image") as progress:
            for i, stimulus in enumerate(domain.subset.stimuli):
                self.runs.cache.ranks.stop_if_asked()
                truth = domain.truth(i)
                geometry = domain.subset.resized.geometry
                density = found.maps.log_density(found.names[stimulus.name], stimulus, geometry, truth.size)
                scored = ScoredImage(OnMap(truth, density.rows, density.columns), density, {})
                rows.append({"image": truth.name, "fixations": len(truth.y)} | scores_of(scored))
                progress.step()
        return rows
