"""The table of arms as LaTeX (booktabs)."""

from __future__ import annotations

from collections.abc import Mapping

from entreg.results.domains import domains
from entreg.results.schema import IG, IG_DIFFERENCE, Estimate, Results

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{one: f"\\{one}" for one in "&%$#_{}"},
}


def table(evaluations: Mapping[str, Results]) -> str:
    """Return a table with a row for each arm and domain; evaluations: by the name that their rows get where several."""
    several = len(evaluations) > 1
    columns = ["evaluation"] * several + ["arm", "domain", "trainings", "IG (bit/fix.)", "difference", "verdict"]
    lines = [
        "% \\usepackage{booktabs}",
        f"\\begin{{tabular}}{{{'l' * (several + 2)}rrrl}}",
        "\\toprule",
        " & ".join(columns) + r" \\",
        "\\midrule",
    ]
    for name, results in evaluations.items():
        for arm, of_arm in results.arms.items():
            for key, words in domains(results).items():
                if key not in of_arm.domains:
                    continue
                cells = [escaped(name)] * several + [escaped(arm), escaped(words), str(len(of_arm.seeds) or "fixed")]
                cells.append(_cell(of_arm.domains[key].metrics[IG]))
                compared = results.comparisons.get(arm)
                in_domain = None if compared is None else compared.domains.get(key)
                difference = None if in_domain is None else in_domain.differences[IG_DIFFERENCE]
                cells += ["--", "--"] if difference is None else [_cell(difference, sign="+"), difference.verdict]
                lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def escaped(text: str) -> str:
    """Return text that LaTeX prints as it is."""
    return "".join(SPECIAL.get(one, one) for one in text)


def _cell(cell: Estimate, sign: str = "") -> str:
    """Return a mean with its interval, which is over images alone where an asterisk stands."""
    ends = cell.ci95 or cell.ci95_over_images
    interval = "" if ends is None else f" [{ends[0]:{sign}.3f}, {ends[1]:{sign}.3f}]"
    alone = "^*" if cell.ci95 is None and ends is not None else ""
    return f"${cell.mean:{sign}.3f}{interval}{alone}$"
