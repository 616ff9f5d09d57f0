"""results.json as it is written."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from entreg.results.writing import plain


@dataclass(frozen=True)
class Inner:
    mean: float


@dataclass(frozen=True)
class Outer:
    spread: ClassVar = ("metrics",)

    name: str
    metrics: dict[str, Inner]
    ends: tuple[float, float] | None


def test_the_keys_of_a_mapping_that_is_spread_stand_beside_the_other_keys():
    assert plain(Outer("nll", {"nss": Inner(2.0)}, (0.0, 1.0))) == {
        "name": "nll",
        "nss": {"mean": 2.0},
        "ends": [0.0, 1.0],
    }
    assert plain({"none": Outer("a", {}, None)}) == {"none": {"name": "a", "ends": None}}


def test_objects_in_lists_are_spread_as_well():
    @dataclasses.dataclass
    class Inner:
        spread: ClassVar = ("cells",)
        cells: dict[str, float]
        why: str | None

    @dataclasses.dataclass
    class Outer:
        inner: Inner
        ends: tuple[float, float]
        many: list[Inner]

    one = Inner({"a": 1.0}, None)
    assert plain(Outer(one, (1.0, 2.0), [one])) == {
        "inner": {"a": 1.0, "why": None},
        "ends": [1.0, 2.0],
        "many": [{"a": 1.0, "why": None}],
    }
    assert plain(one.cells) is not one.cells
