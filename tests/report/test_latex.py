"""The table of arms as LaTeX."""

from __future__ import annotations

import pytest

from entreg.report import latex
from tests.report.findings import findings


def test_each_arm_has_a_row_for_each_domain(tmp_path):
    results = findings(tmp_path / "sweep", labels=()).results
    lines = latex.table({"a": results}).splitlines()
    assert lines[1] == "\\begin{tabular}{llrrrl}" and lines[-1] == "\\end{tabular}"
    rows = [line for line in lines if line.startswith("nll")]
    assert [row.split(" & ")[:3] for row in rows] == [
        ["nll", "in domain", "4"],
        ["nll", "out of domain (elsewhere)", "4"],
        [r"nll\_entropy", "in domain", "4"],
        [r"nll\_entropy", "out of domain (elsewhere)", "4"],
    ]
    cell = results.comparisons["nll_entropy"].domains["ood.elsewhere"].differences["ig_difference_bits"]
    low, high = cell.ci95
    assert rows[-1].endswith(f" & ${cell.mean:+.3f} [{low:+.3f}, {high:+.3f}]$ & {cell.verdict} \\\\")
    assert rows[0].endswith(r" & -- & -- \\")


def test_several_evaluations_have_a_column_for_their_name_and_one_training_an_asterisk(tmp_path):
    results = findings(tmp_path / "sweep", seeds=1, labels=()).results
    lines = latex.table({"1_a": results, "2_b": results}).splitlines()
    assert sum(line.startswith(r"1\_a & nll") for line in lines) == 4
    assert all("^*$" in line for line in lines if line.startswith(("1", "2")))


@pytest.mark.parametrize("text, printed", [("a_b & 5 %", r"a\_b \& 5 \%"), ("\\x{y}", r"\textbackslash{}x\{y\}")])
def test_whatever_latex_would_read_is_escaped(text, printed):
    assert latex.escaped(text) == printed
