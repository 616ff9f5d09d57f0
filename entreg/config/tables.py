"""The settings of a table of fixations: how its text is written, what its columns are, and what x and y are counted in.

Whatever is null is found by itself where the file leaves no doubt, or given by the preset that `table` names.
"""

from __future__ import annotations

from dataclasses import dataclass

from entreg.config.settings import setting


@dataclass
class TableText:
    """How the text of a table is written."""

    separator: str | None = setting(
        None,
        "what stands between two values; null: the one that separates the names of the columns",
        affects="result",
        one_of=("comma", "tab", "semicolon", "space"),
    )
    decimal: str | None = setting(
        None, "decimal sign; null: the one of its numbers", affects="result", one_of=("point", "comma")
    )
    encoding: str | None = setting(
        None,
        "encoding; null: UTF-8, or UTF-16 where the file begins with its byte order mark",
        affects="result",
        one_of=("utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252", "mac-roman"),
    )
    missing: list[str] = setting(
        [],
        "further marks of a missing number, besides nothing, `.`, `-`, NaN, NA, n/a and -32768",
        affects="result",
    )
