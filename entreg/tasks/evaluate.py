"""task=evaluate: judges the runs of a sweep; results.json, tables and report.html go into a folder of its own."""

from __future__ import annotations

import logging

from entreg import losses
from entreg.config import Config
from entreg.evaluate import evaluation, results
from entreg.evaluate.judgement import Judgement
from entreg.evaluate.metrics import primary_metric
from entreg.evaluate.runs import find
from entreg.evaluate.stages import JudgedStages
from entreg.ranks import Ranks
from entreg.report import tables
from entreg.run.folder import RunFolder
from entreg.run.hardware import compute_deterministically
from entreg.run.launch import launch
from entreg.run.provenance import provenance
from entreg.study import arithmetic
from entreg.study.finished import read, typed_keys

log = logging.getLogger(__name__)


def check(config: Config) -> None:
    """Check the primary outcome before runs are read. SettingError where its metric or a setting of its arm is none."""
    primary_metric(config.evaluation.primary)
    losses.check(config)


def evaluate(config: Config, folder: RunFolder) -> float | None:
    """Judge config.runs (default: the newest sweep) in `folder`; return the main IG difference out of domain, bit.

    None where there is no comparison, and where it stopped to be requeued.
    """
    return launch(judge, config, folder)


def judge(ranks: Ranks, config: Config, folder: RunFolder) -> float | None:
    """Judge on one rank. Stopped where the run was asked to stop: features built so far are kept."""
    compute_deterministically()
    finished, unfinished = find(config.runs)
    runs = [read(place, config) for place in finished]
    arms, keys = evaluation.arms(runs, unfinished)
    plan = evaluation.plan(arms)
    folder.write_config(config)
    features = arithmetic.settle(runs, ranks.device.type, typed_keys())
    log.info("features: %s", features)
    arms = evaluation.with_published(arms, config)

    judgement = Judgement(arms, JudgedStages(ranks), config.evaluation.seed)
    judgement.judge()
    found = results.plain(
        results.results(
            arms, keys, judgement.evidence(), judgement.data(), evaluation.left_out(unfinished), plan, config.evaluation
        )
    )
    start = provenance(
        ranks.device.type, {"folds": config.evaluation.seed}, fingerprints=judgement.fingerprints(), features=features
    )
    evaluation.write(folder, found, judgement, arms, start)
    print(tables.terminal(found))
    print(f"\n{folder}")
    main = found["comparison"].get(results.FOREIGN) or found["comparison"].get(results.IN_DOMAIN)
    return main["ig_difference_bits"]["mean"] if main else None
