"""The settings of how a sweep is submitted."""

from __future__ import annotations

from dataclasses import dataclass

from entreg.config.settings import setting


@dataclass
class Sweeping:
    """How a sweep is submitted to SLURM, and what follows it."""

    dry_run: bool = setting(False, "print what would be submitted, and do nothing", affects="machine")
    detach: bool = setting(
        False, "submit the jobs and end, instead of waiting for them; `task=status` shows them", affects="machine"
    )
    evaluate: bool = setting(
        False, "also evaluate the runs when all their jobs have ended, on SLURM in a job of its own", affects="machine"
    )
