"""Tables of fixations: rows of one file or several, of which rules make fixations (`entreg/data/tables/rules.py`)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from entreg.config.tables import Frame, TableData
from entreg.data.tables import header, readers, rules
from entreg.data.tables.presets import ROLES, Form, forms
from entreg.errors import DataError

TEXTS = ("image", "subject", "trial", "eye")
TIMES = ("start", "duration")
MS_PER = {"s": 1e3, "ms": 1.0, "us": 1e-3, "μs": 1e-3, "ns": 1e-6}
OTHER = "@"  # begins the names of columns that only filters and keys look at


@dataclass(frozen=True)
class Table:
    """The fixations of a table, and what became of its other rows.

    fixations: (n,) rows with the columns image (a Categorical of the images' names), x, y, finite, in the units of
        `frame`, and, where they are known, subject (a Categorical), order, start and duration (ms), and SHOWN of
        `entreg/data/tables/frames.py`. The index is the number of the row
    frame: what x and y are counted in
    rows_read: the number of rows in the files
    place_of: says where a row stands: `PATH, line N`
    dropped: the number of rows that are left out, by reason
    notes: what else was decided
    """

    fixations: pd.DataFrame
    frame: Frame
    rows_read: int
    place_of: Callable[[int], str]
    dropped: dict[str, int]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.fixations)

    def names(self) -> list[str]:
        """Return the names of the images, in the order in which the table mentions them."""
        return [str(name) for name in self.fixations["image"].cat.remove_unused_categories().cat.categories]

    def place_of_image(self, name: str) -> str:
        """Say where an image is mentioned first."""
        return self.place_of(int(self.fixations.index[(self.fixations["image"] == name).to_numpy().argmax()]))

    def repeated(self) -> int:
        """Return the number of rows that repeat the image, subject and order of another; 0 without these columns."""
        by = ["image", "subject", "order"]
        return int(self.fixations.duplicated(by).sum()) if {*by} <= {*self.fixations} else 0


def read(settings: TableData, *, with_times: bool = False) -> Table:
    """Return the fixations of the settings' table.

    with_times: whether start and duration are read where they are there, even if nothing else needs them

    Raises a DataError where a column is missing or occurs twice, a row has another number of values than the header, a
    value is not a finite number, or rows are samples and nothing says which of them make one fixation.
    """
    paths = files(settings)
    tables = [_read_file(path, settings, with_times, several=len(paths) > 1) for path in paths]
    table = tables[0] if len(tables) == 1 else _joined(tables)
    beside = [name for name in ("eye", "trial") if name in table.fixations]
    return dataclasses.replace(table, fixations=table.fixations.drop(columns=beside)) if beside else table


def files(settings: TableData) -> list[Path]:
    """Return the files that `file` names below root, else here, in the order of their names; [] where there is none."""
    for folder in (Path(settings.root or "").absolute(), Path.cwd()):
        path = folder / settings.file
        if path.is_symlink() and not path.exists():
            raise DataError(
                f"{path} is a link to a file that is not there, as git-annex leaves them; get it (git annex get)"
            )
        found = [path] if path.is_file() else sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        if found:
            return [one for one in found if one.is_file()]
    return []


def _read_file(path: Path, settings: TableData, with_times: bool, several: bool) -> Table:
    source, form = readers.open_form(path, settings, forms(settings))
    rows = _columns(source, form, with_times)
    rows_read = len(rows)

    def place_of(row: int) -> str:
        return f"{path}, line {source.line_of(row)}"

    rows, dropped = rules.filtered(rows, {f"{OTHER}{name}": values for name, values in form.filter.items()})
    dropped = {reason.replace(OTHER, ""): count for reason, count in dropped.items()}
    rows = _named(rows, "subject", form.subject_from or ("(.*)" if several else None), path)
    rows = _named(rows, "image", form.image_from, path)
    rows = _one_per_fixation(rows, form, dropped, place_of)
    rows = _with_image_and_place(rows, form, dropped)
    rows, notes = _of_other_eyes(rows, dropped)
    rows = _in_order(rows, form, place_of)
    rows = _begun_on_the_picture(rows, form, dropped)
    beside = [name for name in rows if name.startswith(OTHER) or name == rules.BEFORE]
    return Table(rows.drop(columns=beside) if beside else rows, form.frame, rows_read, place_of, dropped, tuple(notes))


def _columns(source: readers.Source, form: Form, with_times: bool) -> pd.DataFrame:
    """Return the columns of the form that the table has; those of filters and keys are called OTHER + NAME."""
    at: dict[str, int] = {}
    for role in ROLES:
        found = (source.column(name) for name in form.columns.get(role, () if form.is_preset else (role,)))
        index = next((i for i in found if i is not None), None)
        if index is not None:
            at[role] = index
    if not with_times:
        at = {role: i for role, i in at.items() if role not in TIMES or role == "start" and "order" not in at}
    others = {name: source.column(name) for name in (*form.filter, *form.key) if name not in at or name in form.filter}
    for name, index in others.items():
        if index is None:
            raise DataError(f"{source.path} has no column {name}, which data.filter or data.key names")
        at[f"{OTHER}{name}"] = index
    texts = {i for role, i in at.items() if role in TEXTS}
    numbers = {i for role, i in at.items() if role not in TEXTS and not role.startswith(OTHER)} - texts
    values = source.read(sorted(numbers), sorted({*at.values()} - numbers))
    rows = pd.DataFrame({role: values[i] for role, i in at.items()}, copy=False)
    for role in TIMES:
        if role in rows:
            named = re.search(r"[\[(]([nmuμ]?s)[\])]$", header.same(source.names[at[role]]))
            rows[role] *= MS_PER[named[1] if named else form.time_unit[role]]
    return rows


def _named(rows: pd.DataFrame, role: str, pattern: str | None, path: Path) -> pd.DataFrame:
    """Add who or what the file's own name says, where the table does not."""
    if role in rows or pattern is None:
        return rows
    found = re.search(pattern, path.stem if pattern == "(.*)" else path.as_posix())
    if found is None:
        raise DataError(f"{path}: its name does not match data.{role}_from={pattern}; give another pattern")
    return rows.assign(**{role: pd.Categorical.from_codes(np.zeros(len(rows), np.int8), [found[1]])})


def _one_per_fixation(
    rows: pd.DataFrame, form: Form, dropped: dict[str, int], place_of: Callable[[int], str]
) -> pd.DataFrame:
    if form.is_preset and "" in rows["image"].cat.categories:
        rows = rows.assign(image=rows["image"].cat.remove_categories([""]))
    if form.key:
        key = [name if name in rows else f"{OTHER}{name}" for name in form.key]
        people = [name for name in ("subject", "trial", "eye") if name in rows and name not in key]
        rows, dropped["repeated"] = rules.one_per_key(rows, [*people, *key], form.row)
        return rows
    same = rules.repeats_place_and_number(rows)
    if same.any():
        raise DataError(
            f"{place_of(int(rows.index[same.argmax()]))}: the row repeats number and place of the row before, as "
            "samples of a fixation do. data.key=[COLUMN, ...] names the columns that together tell fixations apart; "
            "leave such rows out where they are mistakes"
        )
    return rows


def _with_image_and_place(rows: pd.DataFrame, form: Form, dropped: dict[str, int]) -> pd.DataFrame:
    nameless = (rows["image"].cat.codes < 0).to_numpy()
    placeless = rules.without_place(rows, centred=form.frame.origin == "centre") & ~nameless
    for reason, without in (("without an image", nameless), ("without a place", placeless)):
        if without.any():
            dropped[reason] = int(without.sum())
    without = nameless | placeless
    return rows[~without] if without.any() else rows


def _of_other_eyes(rows: pd.DataFrame, dropped: dict[str, int]) -> tuple[pd.DataFrame, list[str]]:
    if "eye" not in rows:
        return rows, []
    rows, count = rules.one_eye(rows)
    if not count:
        return rows, []
    dropped["of the other eye"] = count
    return rows, ["both eyes were recorded; of each trial the eye with more fixations is used"]


def _in_order(rows: pd.DataFrame, form: Form, place_of: Callable[[int], str]) -> pd.DataFrame:
    if "order" in rows and rows["order"].isna().any():
        place = place_of(int(rows.index[rows["order"].isna().to_numpy().argmax()]))
        raise DataError(f"{place}: the fixation has no order; give it one or leave such rows out")
    if "order" not in rows and ("start" in rows or form.is_preset and form.in_order):
        return rules.with_order(rows)
    return rows


def _begun_on_the_picture(rows: pd.DataFrame, form: Form, dropped: dict[str, int]) -> pd.DataFrame:
    before = rows[rules.BEFORE].to_numpy() if rules.BEFORE in rows else np.zeros(len(rows), dtype=bool)
    if form.start_from == "image" and "start" in rows:
        before = before | (rows["start"].to_numpy() <= 0)
    if not before.any():
        return rows
    dropped["begun before the picture"] = int(before.sum())
    return rows[~before]


def _joined(tables: list[Table]) -> Table:
    """Return the tables of several files as one."""
    frames = [table.fixations for table in tables]
    for name in TEXTS:
        if all(name in frame for frame in frames):
            known = dict.fromkeys(str(one) for frame in frames for one in frame[name].cat.categories)
            frames = [frame.assign(**{name: frame[name].cat.set_categories(list(known))}) for frame in frames]
    places = [(table, int(row)) for table in tables for row in table.fixations.index]

    def place_of(row: int) -> str:
        table, within = places[row]
        return table.place_of(within)

    rows, dropped = pd.concat(frames, ignore_index=True), dict[str, int]()
    notes = [note for table in tables for note in table.notes]
    if all("eye" in frame for frame in frames):  # each eye may have a file of its own
        rows, notes_of = _of_other_eyes(rows, dropped)
        notes += notes_of
    for reason, count in ((reason, count) for table in tables for reason, count in table.dropped.items()):
        dropped[reason] = dropped.get(reason, 0) + count
    return Table(
        rows,
        tables[0].frame,
        sum(table.rows_read for table in tables),
        place_of,
        dropped,
        tuple(notes),
    )
