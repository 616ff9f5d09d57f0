"""Compute together what has the same key: models of the same version of the step, say."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


def in_groups(keys: Sequence[Key], compute: Callable[[Key, list[int]], Iterable[Result]]) -> list[Result]:
    """Return a result for each key, in their order.

    compute: called once for each different key, with the numbers of those that have it; returns a result for each
    """
    groups: dict[Key, list[int]] = {}
    for number, key in enumerate(keys):
        groups.setdefault(key, []).append(number)
    found: dict[int, Result] = {}
    for key, numbers in groups.items():
        found |= zip(numbers, compute(key, numbers), strict=True)
    return [found[number] for number in range(len(keys))]
