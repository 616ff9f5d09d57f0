"""What is asked of a program that is fed anything: a result of finite numbers, or one clear line that helps."""

from __future__ import annotations

import math
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from entreg.errors import UserError

SEED = int(os.environ.get("FUZZ_SEED", "0"))
LONGEST = 1000  # characters of a line

# by which words a message tells what to do
WAYS_OUT = re.compile(
    r"\b(get|leave|left|save|store|rename|mend|give|put|restore|remove|separated|holds paths|pixels of|choose|type|use|"
    r"one of|at least|at most|above|below|finite|--\w+)\b|\w=|have it elsewhere"
)


def tried(default: int, slow: int) -> pytest.MarkDecorator:
    """How many cases are generated, in the default suite and in the slow one."""
    return pytest.mark.parametrize("count", [default, pytest.param(slow, marks=pytest.mark.slow)])


@pytest.fixture
def drive(record_property: Callable[[str, Any], None]) -> Callable[..., None]:
    """drive(count, strategy, check): `check` says of each generated case how it ended; how often is told at the end.

    The cases are the same every time; FUZZ_SEED=n makes others. A failing case is shrunk and printed.
    """

    def run(count: int, strategy: SearchStrategy[Any], check: Callable[[Any], str]) -> None:
        ended: Counter[str] = Counter()

        @seed(SEED)
        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )
        @given(strategy)
        def one(case: Any) -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                how = check(case)
            ended[how] += 1

        try:
            one()
        finally:
            record_property("generated", {"seed": SEED, "ended": dict(ended)})
        assert sum(ended.values()) >= 0.9 * count, f"{ended}: the strategy has fewer cases than are asked for"
        assert ended["refused"], f"{ended}: nothing was refused"

    return run


def outcome(call: Callable[[], Any], *named: str) -> str:
    """`read` or `refused`; anything else is a failure.

    named: of which the message's first line holds one, such as the file's path or the setting's key
    """
    try:
        found = call()
    except UserError as error:
        assert_clear(str(error), named)
        return "refused"
    assert_finite(found)
    return "read"


def assert_clear(message: str, named: tuple[str, ...]) -> None:
    """One line that names the place and the way out; ways out may stand below it, indented."""
    first, *rest = message.split("\n")
    assert any(name in first for name in named), f"names none of {named}: {message!r}"
    assert len(first) <= LONGEST and all(len(line) <= LONGEST for line in rest), f"too long: {message!r}"
    assert message.replace("\n", "").isprintable(), f"control characters: {message!r}"
    assert all(line.startswith(" ") or any(name in line for name in named) for line in rest), f"lines: {message!r}"
    assert WAYS_OUT.search(message), f"no way out: {message!r}"
    assert not re.search(r"Traceback|object at 0x|<class|: ;|: $", message), f"unclear: {message!r}"


def assert_finite(found: Any, where: str = "result") -> None:
    """Every number in containers, arrays and tensors is finite."""
    if isinstance(found, dict):
        for key, value in found.items():
            assert_finite(value, f"{where}.{key}")
    elif isinstance(found, (list, tuple)):
        for i, value in enumerate(found):
            assert_finite(value, f"{where}[{i}]")
    elif isinstance(found, torch.Tensor):
        assert found.isfinite().all(), where
    elif isinstance(found, (np.ndarray, np.generic)):
        assert found.dtype.kind in "biu" or (found.dtype.kind == "f" and np.isfinite(found).all()), where
    elif isinstance(found, float):
        assert math.isfinite(found), where
