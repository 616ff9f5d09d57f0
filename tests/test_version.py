"""One version, wherever it is said."""

from __future__ import annotations

import re

from entreg.version import VERSION
from tests.conftest import ROOT


def test_the_version_is_the_same_wherever_it_is_said():
    patterns = r'^version = "(\S+)"$', r"^version: (\S+)$", r"^## (\S+)$"
    for name, pattern in zip(("pyproject.toml", "CITATION.cff", "CHANGELOG.md"), patterns, strict=True):
        first, *_ = re.findall(pattern, (ROOT / name).read_text(), re.MULTILINE)
        assert first == VERSION, name
