"""The domains in words and in order."""

from __future__ import annotations

import pytest

from entreg.results.domains import compared_rows, domains, learned_from, main_first
from tests.report.findings import findings
from tests.report.set_matrix import content_of


@pytest.fixture
def results_of(tmp_path):
    return lambda **settings: findings(tmp_path / "sweep", labels=(), **settings).results


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"foreign": 0, "primary": "in_domain"}, {"in_domain": "in domain"}),
        ({}, {"in_domain": "in domain", "ood.elsewhere": "out of domain (elsewhere)"}),
        (
            {"foreign": 2},
            {
                "in_domain": "in domain",
                "ood": "out of domain, mean of 2 sets",
                "ood.elsewhere": "out of domain (elsewhere)",
                "ood.beyond": "out of domain (beyond)",
            },
        ),
    ],
)
def test_domains_are_said_in_words(results_of, settings, expected):
    assert domains(results_of(**settings)) == expected


@pytest.mark.parametrize(
    "primary, first", [("ood", "ood"), ("ood.beyond", "ood.beyond"), ("in_domain", "in_domain"), (None, "ood")]
)
def test_the_planned_domain_comes_first_else_the_mean_out_of_domain(results_of, primary, first):
    results = results_of(foreign=2, primary=primary)
    assert main_first(results)[0] == first and sorted(main_first(results)) == sorted(domains(results))


@pytest.mark.parametrize(
    "row, words",
    [("a", "a"), ("ab", "a + b"), ("bcd", "all but a"), ("abcd", "all sets"), ("e", "e")],
)
def test_what_was_learned_from_is_said_by_what_it_is_of_all_sets(row, words):
    assert learned_from(tuple(row), "abcd") == words


def test_the_rows_by_which_arms_are_compared_are_those_of_their_runs(tmp_path):
    assert compared_rows(content_of(tmp_path / "one", main="c").results) == ["c"]
    assert compared_rows(findings(tmp_path / "two").results) == []


def test_of_two_sets_one_is_called_by_its_name():
    assert learned_from(("a",), ["a", "b"]) == "a"
