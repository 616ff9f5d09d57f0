"""How `status` shows runs: a line each, or a line for each arm where there are many; or JSON."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Sequence

from entreg.cli.status import RunStatus
from entreg.columns import aligned

MOST_LINES = 40  # more runs than that are summed up by arm
MOST_LOGS = 5  # of runs that have failed
HEAD = ("run", "overrides", "state", "job", "node", "elapsed", "validation IG (bit/fix)")


def as_json(runs: Sequence[RunStatus], silence: str | None) -> str:
    """Return the runs as JSON. slurm: why SLURM could not be asked, or null."""
    return json.dumps({"slurm": silence, "runs": [dataclasses.asdict(run) for run in runs]}, indent=2)


def as_text(runs: Sequence[RunStatus], silence: str | None) -> str:
    """Return a table of the runs, the logs of those that failed, and the counts of each state."""
    lines = aligned(
        [HEAD, *map(_row, runs)] if len(runs) <= MOST_LINES else by_arm([(run.overrides, run.state) for run in runs])
    )
    counted = ", ".join(f"{count} {state}" for state, count in Counter(run.state for run in runs).most_common())
    failed = [run for run in runs if run.state == "failed"]
    lines += [f"log of run {run.run}: {run.log}" for run in failed[:MOST_LOGS]]
    lines.append(f"{len(runs)} runs: {counted}")
    if silence is not None:
        lines.append(f"{silence}; the states rest on the runs' folders alone")
    return "\n".join(lines)


def duration(seconds: float | None) -> str:
    """Return a duration as hours, minutes and seconds; empty where it is not known."""
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _row(run: RunStatus) -> tuple[str, ...]:
    state = f"{run.state}: {run.about[:80]}" if run.about else run.state
    ig = run.validation_ig_bits_per_fixation
    return (
        str(run.run),
        run.overrides,
        state,
        run.job or "",
        run.node or "",
        duration(run.seconds),
        "" if ig is None else f"{ig:.4f}",
    )


def by_arm(runs: Sequence[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Return a row for each arm: the words without the seed, and how many runs are in which state.

    runs: the words that tell each run apart, and its state
    """
    arms: dict[str, Counter[str]] = {}
    for words, state in runs:
        arms.setdefault(re.sub(r"(^| )seed=\S+", "", words).strip(), Counter())[state] += 1
    states = list(dict.fromkeys(state for _, state in runs))
    return [("arm", *states), *((arm, *(str(count[state] or "") for state in states)) for arm, count in arms.items())]
