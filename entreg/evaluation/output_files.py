"""The files that an evaluation writes into its folder."""

from __future__ import annotations

from typing import Any

from entreg.evaluation import evidence_file, illustrations
from entreg.evaluation.evaluator import Evaluator
from entreg.io import arrays, digests, files, sums
from entreg.report import page, tables
from entreg.report.illustrations import write as write_illustrations
from entreg.results import writing
from entreg.results.schema import Results
from entreg.runs.folder import RunFolder


def write(folder: RunFolder, results: Results, evaluator: Evaluator, start: dict[str, Any]) -> None:
    """Write the tables, the maps, results.json, what figures are drawn of, the page and, last, the sums of these files.

    start: the provenance of the results
    """
    folder.sums.unlink(missing_ok=True)  # those of an earlier evaluation here
    per_image, bias_maps = evaluator.table(), illustrations.bias_maps(evaluator)
    files.write_csv(folder.per_image, per_image)
    files.write_csv(folder.arms, tables.arms(results))
    files.write_csv(folder.comparisons, tables.comparisons(results))
    arrays.write(folder.bias_maps, bias_maps)
    arrays.write(folder.evidence, evidence_file.arrays_of(evaluator))
    judged = (run.folder for arm in evaluator.runs.every_arm for run in arm.trained_runs)
    folder.add_start(start | {"runs": {str(run): digests.sha256(run.final) for run in judged}})
    writing.write(folder.results, results)
    content = page.Content(
        {arm.name: [run.history for run in arm.runs] for arm in evaluator.runs.arms if not arm.is_fixed},
        bias_maps,
        illustrations.mean_densities(evaluator),
        illustrations.examples(evaluator),
        results,
        per_image,
        illustrations.looks(evaluator),
        start,
    )
    write_illustrations(folder.illustrations, content)
    page.write(folder, content)
    sums.write(folder.sums, sums.sums_of(folder.path, folder.judgement))
