"""task=evaluate: compare the runs of a sweep; results.json, tables and report.html go into a folder of their own."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

from entreg import losses
from entreg.config import Config
from entreg.data.image_hashes import KnownHashes
from entreg.distributed.hardware import compute_deterministically
from entreg.distributed.launch import launch
from entreg.distributed.ranks import Ranks
from entreg.evaluation import output_files, selection
from entreg.evaluation.evaluated_runs import EvaluatedRuns
from entreg.evaluation.evaluation_cache import EvaluationCache
from entreg.evaluation.evaluator import Evaluator
from entreg.evaluation.find_runs import find
from entreg.evaluation.matrix import matrix_of
from entreg.evaluation.metrics import primary_metric
from entreg.evaluation.other_models import OtherModels
from entreg.evaluation.summary import summarise
from entreg.evaluation.training_rows import baselines_of_rows
from entreg.io import files
from entreg.model import step_library
from entreg.report import set_tables, tables
from entreg.runs.folder import RunFolder
from entreg.runs.provenance import provenance
from entreg.study import feature_precision
from entreg.study.finished_run import FinishedRun, read, typed_keys

log = logging.getLogger(__name__)


def check(config: Config) -> None:
    """Raise a SettingError where the primary outcome's metric, or a setting of its arm, is unknown."""
    primary_metric(config.evaluation.primary)
    losses.check(config)


def evaluate(config: Config, folder: RunFolder) -> float | None:
    """Evaluate config.runs (default: the newest sweep) in `folder`; return the main IG difference (bit/fixation).

    This is the difference out of domain where there is one, else in domain. Returns None where nothing is compared, and
    where the evaluation was stopped in order to be requeued.
    """
    ig_bits: float | None = launch(evaluate_on_rank, config, folder)
    return ig_bits


def _step_version(run: FinishedRun) -> str:
    """Return the version of the compiled functions that adapts a run's models, or `torch`."""
    return step_library.description(step_library.for_evaluation(run.config.hardware))


def evaluate_on_rank(ranks: Ranks, config: Config, folder: RunFolder) -> float | None:
    """Evaluate on one rank. Raises Stopped where it was asked to stop; features that were built by then stay."""
    compute_deterministically()
    typed = typed_keys(folder.read_typed())
    finished, unfinished = find(config.runs)
    runs = [read(run_folder, config, typed) for run_folder in finished]
    arms, keys = selection.select_arms(runs, unfinished)
    plan = selection.select_plan(arms, typed)
    folder.write_config(config)
    features = feature_precision.choose(runs, ranks.device.type, typed)
    log.info("features: %s", features)
    arms = selection.with_published(arms, config)

    hashes = KnownHashes(Path(config.paths.store), reads_every_byte=True, writes=ranks.is_first)
    evaluated = EvaluatedRuns(arms, EvaluationCache(ranks, hashes), config.evaluation.seed, config.evaluation.accept)
    if evaluated.history.changed:
        plan = selection.without_plan(plan, evaluated.history.why)
    selection.refuse_unmeasured(plan, {name: domain.kde_images for name, domain in evaluated.domains.items()})
    others = OtherModels(config.evaluation.others, evaluated)
    evaluator = Evaluator(evaluated)
    evaluator.evaluate()
    left_out = selection.left_out(unfinished)
    matrix = matrix_of(evaluator.judged(), plan, baselines_of_rows(evaluated.every_arm))
    results = summarise(
        evaluated.arms, keys, evaluator.evidence(), evaluated.data(), left_out, plan, config.evaluation, matrix
    )
    if config.evaluation.others:
        results = dataclasses.replace(results, others=others.judge())
        files.write_csv(folder.others, others.rows)
    start = provenance(
        ranks.device.type,
        {"folds": config.evaluation.seed},
        fingerprints=evaluated.fingerprints(),
        features=features,
        step_version=", ".join(dict.fromkeys(_step_version(run) for run in runs)),
    )
    output_files.write(folder, results, evaluator, start)
    print("\n".join([tables.terminal(results), *set_tables.terminal(results)]))
    print(f"\n{folder}")
    return tables.main_ig_difference_bits(results)
