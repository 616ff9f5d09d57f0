"""What makes one fixation of a table's rows, and which fixations are left out and why.

Rows are a DataFrame whose columns are named after what they mean (`entreg.config.tables.Columns`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

TRIAL = ("subject", "image", "trial")  # the columns that tell trials apart, where they are there
BEFORE = "began before"  # column: whether a fixation lies on the picture before, too


def trial_of(rows: pd.DataFrame) -> list[str]:
    """Return the columns that tell trials apart."""
    return [name for name in TRIAL if name in rows]


def filtered(rows: pd.DataFrame, kept: Mapping[str, Sequence[str]]) -> tuple[pd.DataFrame, dict[str, int]]:
    """Keep the rows whose columns have one of the values; numbers and words are compared as such, without capitals."""
    dropped = {}
    for name, values in kept.items():
        wanted = {_comparable(value) for value in values}
        column = rows[name].astype("category")
        use = np.array([_comparable(value) in wanted for value in column.cat.categories] + [False])
        keep = use[column.cat.codes.to_numpy()]
        if not keep.all():
            dropped[f"of another {name}"] = int((~keep).sum())
            rows = rows[keep]
    return rows, dropped


def one_per_key(rows: pd.DataFrame, key: Sequence[str], row: str) -> tuple[pd.DataFrame, int]:
    """Keep one row of each combination of the columns in `key`: the first or the last one.

    A fixation that has several images is that of the last one, and is marked as having begun before. Rows without an
    image are no picture.
    """
    group = rows.groupby(list(key), sort=False, observed=True, dropna=False).ngroup().to_numpy()  # by first appearance
    repeated = pd.Series(group).duplicated(keep=row).to_numpy()
    if not repeated.any():
        return rows, 0
    result = rows[~repeated].copy()
    if "image" in rows and "image" not in key:
        image = rows["image"].cat.codes.to_numpy()
        named, first = image >= 0, image[np.unique(group, return_index=True)[1]]
        last, least, greatest = (np.full(len(first), fill) for fill in (-1, np.iinfo(image.dtype).max, -1))
        last[group[named]] = image[named]  # of several values for a group the last one stays
        np.minimum.at(least, group[named], image[named])
        np.maximum.at(greatest, group[named], image[named])
        before = (least < greatest) | ((first < 0) & (last >= 0))
        result["image"] = pd.Categorical.from_codes(last[group[~repeated]], dtype=rows["image"].dtype)
        result[BEFORE] = before[group[~repeated]]
    return result, int(repeated.sum())


def repeats_place_and_number(rows: pd.DataFrame) -> np.ndarray:
    """Return which rows repeat the trial, number and place of the row before, as samples of a fixation do: (n,)."""
    same = np.zeros(len(rows), dtype=bool)
    if "order" in rows and len(rows) > 1:
        same[1:] = True
        for name in (*trial_of(rows), "order", "x", "y"):
            values = rows[name].cat.codes if isinstance(rows[name].dtype, pd.CategoricalDtype) else rows[name]
            same[1:] &= values.to_numpy()[1:] == values.to_numpy()[:-1]
    return same


def without_place(rows: pd.DataFrame, centred: bool) -> np.ndarray:
    """Return which rows have no place: (n,). Where the origin is a corner, programs mark it with -1 for both, too."""
    x: np.ndarray = rows["x"].to_numpy()
    y: np.ndarray = rows["y"].to_numpy()
    without: np.ndarray = np.isnan(x) | np.isnan(y)
    return without if centred else without | ((x == -1) & (y == -1))


def one_eye(rows: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Keep of each trial the eye with more fixations, and of two with as many the first in alphabetical order."""
    if rows["eye"].nunique() < 2:
        return rows, 0
    by = trial_of(rows)
    counts = rows.groupby([*by, "eye"], observed=True, sort=True).size().rename("count").reset_index()
    chosen = counts.sort_values("count", ascending=False, kind="stable").drop_duplicates(by)
    keep = pd.MultiIndex.from_frame(rows[[*by, "eye"]].astype(str)).isin(
        pd.MultiIndex.from_frame(chosen[[*by, "eye"]].astype(str))
    )
    return rows[keep], int((~keep).sum())


def with_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the number of each fixation in its trial, from 0, by its start or, without one, by its row."""
    in_time = rows.sort_values("start", kind="stable") if "start" in rows else rows
    order = in_time.groupby(trial_of(rows), observed=True, sort=False, dropna=False).cumcount()
    return rows.assign(order=order.astype(np.float64))


def _comparable(value: object) -> object:
    text = str(value).strip().casefold()
    try:
        return float(text)
    except ValueError:
        return text
