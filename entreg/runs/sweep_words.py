"""Expand the words of a sweep into the words of each of its jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from entreg.errors import SettingError

ParseError = HydraException  # what its parser raises
MOST_JOBS = 10_000  # the greatest number of jobs in a sweep


def is_basic(sweeper: Mapping[str, Any]) -> bool:
    """Return whether the config is that of Hydra's own sweeper, which starts all combinations of the typed values."""
    # an old config may not name the sweeper
    return str(sweeper.get("_target_", BasicSweeper.__name__)).endswith(BasicSweeper.__name__)


def jobs_of(params: Mapping[str, Any], typed: Sequence[str]) -> list[list[str]]:
    """Return the words of each job of a sweep, as Hydra's sweeper forms them.

    Raises a SettingError where the sweep has more than MOST_JOBS jobs, or contains an interval.

    params: those of the sweeper's config; typed: the words of the command line
    """
    overrides = parsed(params, typed)
    count = 1
    for override in overrides:
        if override.is_sweep_override():
            if not override.is_discrete_sweep():
                raise SettingError(
                    f"{override.input_line}: only a sweeper that chooses values itself can choose within an interval\n"
                    "  try these values      KEY=0.1,1,10\n"
                    "  let Optuna choose     hydra/sweeper=optuna (pip install optuna)"
                )
            # counted lazily, since a short word can mean a range of a billion numbers
            count *= sum(1 for _ in islice(override.sweep_iterator(), MOST_JOBS + 1))
            if count > MOST_JOBS:
                raise SettingError(f"{' '.join(typed)}: this sweep has more than {MOST_JOBS} jobs")
    return [list(job) for batch in BasicSweeper.split_arguments(overrides, None) for job in batch]


def samples_of(params: Mapping[str, Any], typed: Sequence[str]) -> list[list[str]]:
    """Return the words of sample jobs for a sweeper that chooses values itself, such as Optuna's.

    They suffice to check every value, and the ends of each interval: each of these stands in one job, beside the first
    values of all other settings.
    """
    choices = []
    for override in parsed(params, typed):
        key = override.get_key_element()
        if not override.is_sweep_override():
            choices.append([str(override.input_line)])
        elif override.is_discrete_sweep():
            choices.append([f"{key}={value}" for value in islice(override.sweep_string_iterator(), MOST_JOBS)])
        else:
            interval: Any = override.value()
            choices.append([f"{key}={end}" for end in (interval.start, interval.end)])
    first = [words[0] for words in choices]
    return [first] + [[*first[:i], word, *first[i + 1 :]] for i, words in enumerate(choices) for word in words[1:]]


def parsed(params: Mapping[str, Any], typed: Sequence[str]) -> list[Any]:
    """Return Hydra's form of the words of a sweep; params: those of the sweeper's config."""
    words = [f"{key}={value}" for key, value in params.items()] + list(typed)
    return OverridesParser.create().parse_overrides(words)
