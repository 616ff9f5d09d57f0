"""A number of results.json as text: rounded as its digits say, with its path and its full precision."""

from __future__ import annotations

import math
import re

import pytest

from entreg.report.numbers import MISSING, Numbers

RESULTS = {
    "arms": {
        "nll_0.1": {
            "mean": -0.12345,
            "n": 12345,
            "seeds": [0, 7],
            "ci95": [-0.5, 0.25],
            "none": None,
            "tiny": -0.0004,
        }
    },
    "p": {"least": 1e-7, "small": 0.00123, "middle": 0.0456, "large": 0.456, "none": None},
    "nan": math.nan,
}


@pytest.fixture
def n() -> Numbers:
    return Numbers(RESULTS)


def text(markup) -> str:
    return re.sub("<[^>]*>", "", markup)


def test_a_value_is_found_by_its_keys_however_they_are_grouped(n):
    assert n.value("arms", "nll_0.1", "mean") == -0.12345 == n.value(("arms", "nll_0.1"), "mean")
    assert n.value("arms", "nll_0.1", "seeds", 1) == 7 and n.value("arms", "nll_0.1", "none") is None
    for path in (("other",), ("arms", "nll_0.1", "mean", "deeper"), ("arms", "nll_0.1", "seeds", 2)):
        assert n.value(*path) is MISSING


@pytest.mark.parametrize(
    "key, options, shown",
    [
        ("mean", {}, "−0.123"),
        ("mean", {"digits": 1}, "−0.1"),
        ("mean", {"percent": True, "digits": 1}, "−12.3\u00a0%"),
        ("n", {}, "12\u202f345"),
        ("n", {"sign": True}, "+12\u202f345"),
        # a rounded zero has no sign
        ("tiny", {}, "0.000"),
        ("tiny", {"sign": True}, "0.000"),
        ("tiny", {"digits": 4}, "−0.0004"),
        ("none", {}, "n/a"),
        ("none", {"why": "one training"}, "n/a (one training)"),
        ("other", {"why": "x"}, "n/a (x)"),
    ],
)
def test_numbers_are_rounded_and_typeset(n, key, options, shown):
    assert text(n("arms", "nll_0.1", key, **options)) == shown


def test_full_precision_and_path_stand_in_the_element(n):
    assert n("arms", "nll_0.1", "mean") == (
        '<data data-key="arms.nll_0.1.mean" data-value="-0.12345" value="-0.12345">−0.123</data>'
    )
    assert n("other") == "<span>n/a</span>"


def test_what_is_not_a_number_is_not_shown_as_one(n):
    assert text(n("nan")) == "n/a" and "NaN" not in n("nan")


@pytest.mark.parametrize(
    "key, shown, related",
    [
        ("least", "<\u00a00.0001", "<\u00a00.0001"),
        ("small", "0.0012", "=\u00a00.0012"),
        ("middle", "0.046", "=\u00a00.046"),
        ("large", "0.46", "=\u00a00.46"),
        ("none", "n/a", "n/a"),
        ("other", "n/a", "n/a"),
    ],
)
def test_p_values_have_two_digits_and_an_end(n, key, shown, related):
    assert text(n.p("p", key)).replace("&lt;", "<") == shown
    assert text(n.p("p", key, relation=True)).replace("&lt;", "<") == related


def test_an_interval_has_both_ends(n):
    found = n.ends(("arms", "nll_0.1"), "ci95", digits=2, sign=True)
    assert text(found) == "−0.50 to +0.25" and 'data-key="arms.nll_0.1.ci95.1"' in found


def test_names_are_text_not_markup():
    found = Numbers({"<b>": 1.0})("<b>")
    assert "<b>" not in found and 'data-key="&lt;b&gt;"' in found
