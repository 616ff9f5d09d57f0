"""One version, wherever it is said."""
from __future__ import annotations

import re

from entreg.version import VERSION
from tests.conftest import ROOT


def test_the_version_is_the_same_wherever_it_is_said():
    for name, pattern in (
        ("pyproject.toml", r'^version = "(\S+)"$'), ("CITATION.cff", r"^version: (\S+)$"), ("CHANGELOG.md", r"^## (\S+)$"),
    ):
        first, *_ = re.findall(pattern, (ROOT / name).read_text(), re.MULTILINE)
        assert first == VERSION, name
