"""kill -9 at any moment of a study, and the same command again: it goes on to the same bits."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.miniature import Miniature, differences
from tests.warm import Run

SEED = int(os.environ.get("KILL_SEED", "0"))
KILLS = 100  # at least
MOST = 7  # kills of one command until it is let through
# half of the kills come at random moments, the others when one of these appears
APPEARING = {
    "train": (
        "outputs/run/owner.json",
        "store/synthetic/*.partial",
        "store/features/*.partial",
        "store/features/*/checksums.bin",
        "store/features/*/recipe.json",
        "store/center_bias/*/.*.tmp",
        "store/center_bias/*/*.bin",
        "outputs/run/.hydra/config.yaml",
        "outputs/run/plan.json",
        "outputs/run/checkpoints/.epoch*.tmp",
        "outputs/run/checkpoints/epoch_001.pt",
        "outputs/run/checkpoints/.last*.tmp",
        "outputs/run/checkpoints/last.pt",
        "outputs/run/checkpoints/epoch_002.pt",
        "outputs/run/metrics.csv",
        "outputs/run/figures/.*.tmp",
        "outputs/run/figures/predictions.png",
        "outputs/run/checkpoints/.final*.tmp",
        "outputs/run/checkpoints/final.pt",
    ),
    "evaluate": (
        "outputs/judged/owner.json",
        "outputs/judged/.hydra/config.yaml",
        "store/features/*.partial",
        "outputs/judged/per_image.csv",
        "outputs/judged/comparisons.csv",
        "outputs/judged/.bias_maps*.tmp",
        "outputs/judged/provenance.json",
        "outputs/judged/results.json",
        "outputs/judged/.report*.tmp",
        "outputs/judged/report.html",
    ),
}


def wait_for(run: Run, folder: Path, pattern: str) -> None:
    """Until something that was not there matches, or the run has ended."""
    before = set(folder.glob(pattern))
    while not set(folder.glob(pattern)) - before and not run.has_ended():
        time.sleep(0.0005)


def kill_until_through(study: Miniature, commands: Sequence[str], kills: int, most: int) -> Counter[str]:
    """Studies, each from the beginning to the same bits, until there were so many kills: kills by what they came at."""
    whole_s = {}
    study.empty()
    for command in commands:
        started = time.monotonic()
        study.run(command)
        whole_s[command] = time.monotonic() - started
    expected = study.content()
    draw, count = random.Random(SEED), Counter[str]()
    appearing = {command: draw.sample(patterns, len(patterns)) for command, patterns in APPEARING.items()}
    while sum(count.values()) < kills:
        study.empty()
        for command in commands:
            killed, epochs = 0, study.epochs_kept()
            while True:
                run = study.start(command)
                at = "a random moment"
                if killed == most:
                    at = "the end"
                elif draw.random() < 0.5:
                    run.has_ended(within_s=draw.uniform(0, whole_s[command]))
                else:
                    at = appearing[command].pop(0)
                    appearing[command].append(at)
                    wait_for(run, study.folder, at)
                if at != "the end":
                    run.kill()
                code = run.end()
                if code == 0:
                    break
                assert code == -9, f"seed {SEED}, after {count}:\n{run.output}"
                killed += 1
                count[at] += 1
                epochs_before, epochs = epochs, study.epochs_kept()
                assert epochs >= epochs_before, f"seed {SEED}, after {count}: a checkpoint is lost"
        assert differences(study.content(), expected) == [], f"seed {SEED}, after {count}"
    return count


@pytest.mark.slow
def test_killed_at_any_moment_a_study_goes_on_to_the_same_bits(study, capsys):
    count = kill_until_through(study, list(APPEARING), KILLS, MOST)
    with capsys.disabled():
        print(f"\nkills: {sum(count.values())}, seed {SEED}")
        for at, number in count.most_common():
            print(f"  {number:3d} at {at}")
    assert len(count) > len(APPEARING["train"])
