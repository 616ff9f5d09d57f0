"""The settings of a table of fixations: how its text is written, what its columns are, and what x and y are counted in.

Whatever is null is found by itself where the file leaves no doubt, or given by the preset that `table` names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from entreg.config.data import PublishedData
from entreg.config.settings import Rule, group, setting


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


def _column(meaning: str) -> Any:
    return setting(None, f"column: {meaning}; null: the column of this name, or the preset's", affects="result")


@dataclass
class Columns:
    """The names of the columns; capitals do not matter."""

    image: str | None = _column("name of the image")
    x: str | None = _column("to the right")
    y: str | None = _column("down, or up (frame.origin)")
    subject: str | None = _column("the person")
    trial: str | None = _column("tells apart the trials of one person on one image")
    order: str | None = _column("number of the fixation in its trial, from 0")
    start: str | None = _column("when the fixation began, in time_unit")
    duration: str | None = _column("how long it lasted, in time_unit")
    eye: str | None = _column("the eye; of each trial one eye is used, the one with more fixations")
    shown_x: str | None = _column("left edge of the image on the screen, pixels")
    shown_y: str | None = _column("top edge of the image on the screen, pixels")
    shown_width: str | None = _column("width of the image on the screen, pixels")
    shown_height: str | None = _column("height of the image on the screen, pixels")


@dataclass
class Frame:
    """What x and y are counted in."""

    origin: str | None = setting(
        None,
        "where x and y are 0, y growing downwards from top_left and upwards from the others; null: top_left",
        affects="result",
        one_of=("top_left", "bottom_left", "centre"),
    )
    unit: str | None = setting(
        None,
        "unit: pixels, shares of the width and height, or degrees of visual angle (through px_per_degree); null: px",
        affects="result",
        one_of=("px", "shares", "degrees"),
    )
    of: str | None = setting(
        None,
        "whose pixels, shares and origin these are: the image's, in the size in which it was shown, or the screen's; "
        "null: the image's",
        affects="result",
        one_of=("image", "screen"),
    )
    screen_width_px: float | None = setting(None, "width of the screen", affects="result", above=0)
    screen_height_px: float | None = setting(None, "height of the screen", affects="result", above=0)
    shown_x_px: float | None = setting(
        None, "left edge of the image on the screen; null: the image stood in its middle", affects="result"
    )
    shown_y_px: float | None = setting(
        None, "top edge of the image on the screen; null: the image stood in its middle", affects="result"
    )
    shown_width_px: float | None = setting(
        None, "width of the image on the screen; null: that of the stored image", affects="result", above=0
    )
    shown_height_px: float | None = setting(
        None, "height of the image on the screen; null: that of the stored image", affects="result", above=0
    )
    index_base: int | None = setting(
        None, "the first pixel's number; MATLAB counts from 1. null: 0", affects="result", one_of=(0, 1)
    )

    def broken_rules(self) -> Iterator[Rule]:
        """Yield what contradicts itself."""
        if self.index_base == 1 and self.unit in ("shares", "degrees"):
            yield "index_base", f"only pixels are counted, and unit is {self.unit}"


@dataclass
class TableData(PublishedData):
    """The settings of a data set whose fixations stand in a table."""

    file: str = setting(
        "fixations.csv",
        "the table, or a pattern of several (`User *.csv`), below root; else in the folder where the command is typed",
        affects="result",
    )
    table: str | None = setting(
        None,
        "preset for the tables of a program, such as eyelink_report, or a YAML file of one's own; null: none",
        affects="result",
        path="unless a name",
    )
    text: TableText = group(TableText)
    columns: Columns = group(Columns)
    frame: Frame = group(Frame)
    filter: Any = setting(
        None, "rows that are used, by column: {COLUMN: [VALUE, ...]}; null: all, or the preset's", affects="result"
    )
    key: list[str] = setting(
        [],
        "columns that together tell fixations apart where a fixation has several rows; []: each row is one",
        affects="result",
    )
    time_unit: str | None = setting(
        None, "unit of start and duration; null: ms", affects="result", one_of=("s", "ms", "us", "ns")
    )
    subject_from: str | None = setting(
        None,
        r"pattern whose group is the person's name in the name of the file, such as 'User (\d+)'",
        affects="result",
    )
    image_from: str | None = setting(
        None, "pattern whose group is the image's name in the path of the file", affects="result"
    )
    message: str | None = setting(
        None,
        r"pattern whose group is the image's name in a message of the recording, such as 'IMGLOAD .* (\S+)'",
        affects="result",
    )

    @property
    def unused(self) -> tuple[str, ...]:
        """The settings that are ignored, so that they do not distinguish runs."""
        return tuple(name for name in super().unused if not (name == "px_per_degree" and self.frame.unit == "degrees"))

    def broken_rules(self) -> Iterator[Rule]:
        """Yield what is wrong with the patterns, the filter and the frame."""
        yield from super().broken_rules()
        for name in ("subject_from", "image_from", "message"):
            why = _no_pattern(getattr(self, name))
            if why:
                yield name, why
        if not _is_filter(self.filter):
            yield "filter", "give columns and the values that are kept: {COLUMN: [VALUE, ...]}"
        if self.frame.unit == "degrees" and self.px_per_degree is None:
            yield "px_per_degree", "frame.unit=degrees needs it: how many pixels of the stored image were a degree?"


def _no_pattern(pattern: str | None) -> str | None:
    """Return why a pattern cannot be used."""
    if pattern is None:
        return None
    try:
        return None if re.compile(pattern).groups == 1 else "give one group in brackets, which is the name"
    except re.error as error:
        return f"no regular expression: {error}"


def _is_filter(value: Any) -> bool:
    if value is None:
        return True
    plain = (str, int, float, bool)
    return isinstance(value, dict) and all(
        isinstance(name, str)
        and (isinstance(kept, plain) or isinstance(kept, list) and all(isinstance(v, plain) for v in kept))
        for name, kept in value.items()
    )
