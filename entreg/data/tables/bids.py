"""BIDS 1.11, eye tracking: fixations of _physioevents.tsv.gz with the mean place of their samples in _physio.tsv.gz.

    ..._physioevents.tsv.gz     onset, in the column that OnsetSource names, duration (s), trial_type; no place
    ..._physio.tsv.gz           samples: timestamp, x_coordinate, y_coordinate, ...; neither has a header
    ..._events.tsv              onset (s), duration and the pictures, in the column data.columns.image

Their JSON files are inherited: each of the folders above may hold some, whose names have fewer entities. The
recording's clock begins at StartTime of the events' clock. Specification: bids-specification.readthedocs.io, v1.11.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from entreg.config.tables import TableData
from entreg.data.tables.memory_table import MemoryTable
from entreg.data.tables.presets import Form
from entreg.data.tables.shown_pictures import Shown
from entreg.data.tables.streams import opened
from entreg.errors import DataError, brief
from entreg.io import files

NAMES = ("image", "trial", "start", "subject", "eye", "duration", "x", "y")
EVENTS = "_physioevents.tsv.gz"
PIXELS = ("px", "pixel", "pixels")
ORIGINS = {"top left": "top_left", "bottom left": "bottom_left", "center center": "centre"}
LONGEST_S = 10.0  # a median of fixations' durations above this is none in seconds


def open_table(path: Path, settings: TableData, form: Form) -> tuple[MemoryTable, Form]:
    """Return the fixations of a recording, start and duration in ms, and the form with the screen's frame.

    Raises a DataError where files or columns are missing, places are not pixels of the screen, the screen's origin is
    unknown, or nothing tells in which unit durations are.
    """
    if not path.name.endswith(EVENTS):
        raise DataError(f"{path} does not say when fixations were; give data.file=..._recording-..{EVENTS}")
    root = Path(settings.root or path.parent)
    samples_at = path.with_name(path.name.replace("_physioevents.", "_physio."))
    about = _sidecar(samples_at, root)
    samples = _headerless(samples_at, about)
    frame = _frame(path, samples_at, about, form, root)
    ticks_per_s = _ticks_per_s(samples_at, samples["timestamp"].to_numpy(), about)
    about_events = _sidecar(path, root)
    table = _headerless(path, about_events)
    fixations = table[table["trial_type"] == "fixation"]
    onset, duration = (pd.to_numeric(fixations[name], errors="coerce").to_numpy() for name in ("onset", "duration"))
    duration_s = duration * _s_per_duration(path, duration, settings)
    if about_events.get("OnsetSource", "timestamp") == "n/a":  # then the onset is the number of a sample
        onset = samples["timestamp"].to_numpy()[np.clip(onset.astype(np.int64), 0, len(samples) - 1)]
    began = float(samples["timestamp"].iloc[0])
    start_s = (onset - began) / ticks_per_s + float(about.get("StartTime") or 0)
    x, y = (_means(samples, f"{axis}_coordinate", onset, onset + duration_s * ticks_per_s) for axis in "xy")
    pictures = _pictures(path, settings)
    eye, person = str(about.get("RecordedEye", "")), path.name.partition("_")[0]
    rows = []
    for i in range(len(fixations)):
        image, trial, since_s = pictures.of(start_s[i], start_s[i] + duration_s[i])
        rows.append((image, trial, 1e3 * since_s, person, eye, 1e3 * duration_s[i], x[i], y[i]))
    columns = {**form.columns, "image": ("image",)}
    return (
        MemoryTable(path, NAMES, rows, (fixations.index + 1).tolist(), settings.text),
        dataclasses.replace(form, columns=columns, frame=frame, time_unit={"start": "ms", "duration": "ms"}),
    )


def _sidecar(path: Path, root: Path) -> dict[str, Any]:
    """Return what the JSON files say about a file; those nearer to it and with more of its entities go before."""
    *entities, suffix = path.name.partition(".")[0].split("_")
    folders = [folder for folder in path.parents if folder == root or root in folder.parents] or [path.parent]
    about: dict[str, Any] = {}
    for folder in reversed(folders):
        for found in sorted(folder.glob(f"*{suffix}.json"), key=lambda one: one.name.count("_")):
            *own, kind = found.stem.split("_")
            if kind == suffix and {*own} <= {*entities}:
                about |= files.read_json(found)
    return about


def _headerless(path: Path, about: dict[str, Any]) -> pd.DataFrame:
    """Return a table without a header, whose columns its JSON file names."""
    wanted = (
        ("timestamp", "x_coordinate", "y_coordinate")
        if "_physio." in path.name
        else ("onset", "duration", "trial_type")
    )
    absent = [name for name in wanted if name not in about.get("Columns", ())]
    if absent:
        raise DataError(f"{path}: its JSON file names no column {', '.join(absent)} (Columns); get the file again")
    try:
        with opened(path, None) as file:
            table = pd.read_csv(file, sep="\t", header=None, names=about["Columns"], na_values=["n/a"], index_col=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {brief(error)}; get it again") from error
    if table.empty:
        raise DataError(f"{path} holds no rows; get the file itself")
    return table


def _frame(path: Path, samples_at: Path, about: dict[str, Any], form: Form, root: Path) -> Any:
    """Return the frame with the origin and the size of the screen. What is typed goes before."""
    system = about.get("SampleCoordinateSystem", "gaze-on-screen")
    units = {str(about.get(f"{axis}_coordinate", {}).get("Units", "")).casefold() for axis in "xy"}
    if system != "gaze-on-screen" or not units <= {*PIXELS}:
        raise DataError(
            f"{samples_at}: its places are {system}, in {' and '.join(sorted(units)) or 'no unit'}; only pixels of the "
            "screen can be read, so give a file in them"
        )
    screen = _sidecar(_events(path), root).get("StimulusPresentation", {})
    frame = form.frame
    if frame.origin is None:
        origin = ORIGINS.get(" ".join(str(word).casefold() for word in screen.get("ScreenOrigin") or ()))
        if origin is None:
            raise DataError(
                f"{_events(path)}: its JSON file does not say where the screen's origin is (StimulusPresentation, "
                "ScreenOrigin); give data.frame.origin"
            )
        frame = dataclasses.replace(frame, origin=origin)
    width, height = screen.get("ScreenResolution") or (None, None)
    return dataclasses.replace(
        frame,
        screen_width_px=frame.screen_width_px or width,
        screen_height_px=frame.screen_height_px or height,
    )


def _events(path: Path) -> Path:
    return path.with_name(re.sub(r"(_recording-[^_]+)?_physioevents\.tsv\.gz$", "_events.tsv", path.name))


def _ticks_per_s(path: Path, times: np.ndarray, about: dict[str, Any]) -> float:
    """Return the units of the timestamps in a second: a power of 1000, which the sampling frequency shows."""
    frequency = about.get("SamplingFrequency")
    steps = np.diff(times)
    if not frequency or not len(steps):
        raise DataError(f"{path}: its JSON file has no SamplingFrequency; add it")
    return float(1000 ** round(np.log(np.median(steps) * float(frequency)) / np.log(1000)))


def _s_per_duration(path: Path, duration: np.ndarray, settings: TableData) -> float:
    """Return the unit of durations: s, as specified, unless it is typed. Some converters write ms."""
    if settings.time_unit is not None:
        return {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}[settings.time_unit]
    if len(duration) and np.nanmedian(duration) > LONGEST_S:
        raise DataError(
            f"{path}: half of the fixations are said to last longer than {np.nanmedian(duration):g} s; give "
            "data.time_unit=ms, or data.time_unit=s where that is true"
        )
    return 1.0


def _means(samples: pd.DataFrame, column: str, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the mean of a column over the samples of each fixation, both ends included; NaN where there are none."""
    times, values = samples["timestamp"].to_numpy(), pd.to_numeric(samples[column], errors="coerce").to_numpy()
    known = ~np.isnan(values)
    sums, counts = (np.concatenate([[0], np.cumsum(part)]) for part in (np.where(known, values, 0), known))
    first, last = np.searchsorted(times, start, side="left"), np.searchsorted(times, end, side="right")
    with np.errstate(invalid="ignore", divide="ignore"):
        means: np.ndarray = (sums[last] - sums[first]) / (counts[last] - counts[first])
    return means


def _pictures(path: Path, settings: TableData) -> Shown:
    """Return the pictures that the events show; one whose duration is unknown is shown until the next event."""
    events, column = _events(path), settings.columns.image or ""
    if not events.is_file():
        raise DataError(f"{events} is not there: it says which picture was shown when; put it there")
    with opened(events, None) as file:
        table = pd.read_csv(file, sep="\t", na_values=["n/a"])
    if not {"onset", column} <= {*table}:
        raise DataError(f"{events} has no column {column}; data.columns.image is one of {', '.join(map(str, table))}")
    changes: list[tuple[float, str | None]] = []
    for onset, length, name in zip(
        table["onset"], table.get("duration", table["onset"] * np.nan), table[column], strict=True
    ):
        changes.append((float(onset), None if pd.isna(name) else str(name)))
        if not pd.isna(name) and not pd.isna(length) and length > 0:
            changes.append((float(onset) + float(length), None))
    return Shown(changes)
