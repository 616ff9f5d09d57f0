"""The limits of a cluster, compared beforehand: SLURM accepts jobs that exceed them, and lets them wait for ever."""

from __future__ import annotations

import re
from dataclasses import dataclass

from entreg.slurm.commands import NoAnswer, answer_of

LOOKS_EVERY_S = 30  # SLURM looks at time limits so often: the signal comes so much earlier at most
START_UP_S = 30  # until a job that has just started can save


@dataclass(frozen=True)
class Partition:
    """A partition and its time limit in minutes, None where there is no limit."""

    name: str
    is_default: bool
    most_min: float | None


def partitions() -> dict[str, Partition]:
    """Return the partitions by name; none where SLURM does not answer."""
    found = {}
    for line in _lines("partition"):
        about = dict(re.findall(r"(\w+)=(\S*)", line))
        if "PartitionName" in about:
            name = about["PartitionName"]
            found[name] = Partition(name, about.get("Default") == "YES", minutes(about.get("MaxTime", "UNLIMITED")))
    return found


def most_tasks() -> int | None:
    """Return the greatest number of tasks in an array, or None where SLURM does not say."""
    for line in _lines("config"):
        match = re.fullmatch(r"MaxArraySize\s*=\s*(\d+)", line.strip())
        if match:
            return int(match[1])  # the greatest index is one less, and we count from 0
    return None


def minutes(text: str) -> float | None:
    """Return a time limit as SLURM writes it (`1-12:00:00`, `00:30:00`) in minutes, None where there is none."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+):(\d+)", text)
    if match is None:
        return None
    days, hours, mins, seconds = (int(part or 0) for part in match.groups())
    return days * 24 * 60 + hours * 60 + mins + seconds / 60


def why_too_short(timeout_min: int, signal_delay_s: int) -> str | None:
    """Return why a time limit leaves a job no time to work, and what to type; None where it does."""
    needed_s = signal_delay_s + LOOKS_EVERY_S + START_UP_S
    if timeout_min * 60 > needed_s:
        return None
    return (
        f"hardware.timeout_min={timeout_min}: a job of {timeout_min * 60} s is asked to stop {signal_delay_s} to "
        f"{signal_delay_s + LOOKS_EVERY_S} s before its end, so that it would be requeued without having worked.\n"
        f"  give it more time     hardware.timeout_min={needed_s // 60 + 1}\n"
        f"  ask it to stop later  hydra.launcher.signal_delay_s=SECONDS, enough for one step and for saving"
    )


def why_too_long(timeout_min: int, asked: str | None) -> str | None:
    """Return why no partition that is asked for allows a time limit, and what to type; None where one does.

    asked: partitions, separated by commas; None: the default one
    """
    known = partitions()
    names = asked.split(",") if asked else [name for name, partition in known.items() if partition.is_default]
    limits = [known[name].most_min for name in names if name in known]
    most = [limit for limit in limits if limit is not None]
    if not most or len(most) < len(limits) or timeout_min <= max(most):
        return None
    return (
        f"hardware.timeout_min={timeout_min} is above the limit of the partition {', '.join(names)}, "
        f"{max(most):.0f} minutes: SLURM would let the jobs wait for ever.\n"
        f"  ask for less          hardware.timeout_min={int(max(most))}: longer runs are requeued and go on\n"
        "  another partition     hardware.partition=NAME; `sinfo -s` lists them"
    )


def _lines(what: str) -> list[str]:
    try:
        return answer_of("scontrol", "--oneliner", "show", what).splitlines()
    except NoAnswer:  # some sites hide it; sbatch has the last word
        return []
