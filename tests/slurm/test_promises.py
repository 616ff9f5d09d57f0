"""Each promise of docs/cluster.md names tests that exist."""

from __future__ import annotations

import re

from tests.conftest import ROOT

NAMES = set(re.findall(r"^def (test_\w+)", "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py")), re.M))


def test_each_promise_names_the_tests_that_hold_it():
    text = (ROOT / "docs/cluster.md").read_text().partition("## What is promised")[2]
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.endswith("held by |")]
    assert len(lines) >= 20
    for line in lines:
        *_, held, _ = line.split("|")
        names = re.findall(r"`(\w+)`", held)
        assert names and NAMES.issuperset(names), line
