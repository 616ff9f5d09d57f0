"""Presets: what the columns of the tables mean that trackers and programs for experiments write.

A preset is a YAML file in presets/, or of one's own, with one entry of `forms` for each form of table: entreg reads
with the first one whose columns a file has. What is typed goes before. Hydra does not compose these files: a preset
fills in what was left open of whichever data set names it, and a group of Hydra's would need another word for each.

    software          program and version that wrote the tables this form was made for
    columns           names of columns, or lists of names that versions use, by what they mean (data.columns)
    frame, filter, key, time_unit       as in the settings
    requires          what columns also have to be there, such as shown_x
    row               which row of a key is the fixation: first, or last
    start_from        image: start is 0 when the image appears, and a fixation that begins before is left out
    asks              settings that have to be typed, with the reason
    subject_from, image_from            patterns of the file's name
    reader            the module that reads this form, where it is no table of text
    in_order          false: neither times nor the order of the rows say in which order the fixations were
    in_file           parts of the frame that each file tells by itself
    refuse            why files with these columns hold no fixations on images, and what to export instead
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from entreg.config.tables import Columns, Frame, TableData
from entreg.errors import DataError, SettingError
from entreg.io import files

FOLDER = Path(__file__).parent / "presets"
REQUIRED = ("image", "x", "y")
ROLES = tuple(item.name for item in dataclasses.fields(Columns))


@dataclass(frozen=True)
class Form:
    """How one form of table is read."""

    columns: Mapping[str, tuple[str, ...]]
    frame: Frame
    filter: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    row: str = "first"
    requires: tuple[str, ...] = ()
    time_unit: Mapping[str, str] = field(default_factory=dict)
    start_from: str = "recording"
    reader: str = "text"
    in_file: tuple[str, ...] = ()
    in_order: bool = True
    software: str = ""
    refuse: str | None = None
    subject_from: str | None = None
    image_from: str | None = None
    is_preset: bool = False

    @property
    def required(self) -> tuple[str, ...]:
        """The roles without which there is no fixation; the name of the file can be the image's."""
        of_rows = REQUIRED[1:] if self.image_from and "image" not in self.columns else REQUIRED
        return (*of_rows, *self.requires)


def names() -> list[str]:
    """Return the presets that there are."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def forms(settings: TableData) -> list[Form]:
    """Return the forms in which the settings' table may be written; what is typed goes before what a preset says.

    Raises a SettingError where the preset does not exist or something has to be typed, and a DataError where its file
    cannot be read.
    """
    if settings.table is None:
        return [_form(settings, {})]
    path = FOLDER / f"{settings.table}.yaml" if settings.table in names() else Path(settings.table)
    if not path.is_file():
        raise SettingError(f"data.table={settings.table}: there is no such preset; there are {', '.join(names())}")
    preset = files.read_yaml(path)
    try:
        found = [_form(settings, form, is_preset=True) for form in preset["forms"]]
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise DataError(
            f"{path}: is no preset: {error}; entreg/data/tables/presets.py says what belongs in it"
        ) from error
    for key, why in preset.get("asks", {}).items():
        if not _typed(settings, key):
            raise SettingError(f"data.table={settings.table} needs data.{key}: {why}")
    return found


def _typed(settings: TableData, key: str) -> bool:
    value: Any = settings
    for part in key.split("."):
        value = getattr(value, part)
    return value is not None


def _form(settings: TableData, preset: Mapping[str, Any], *, is_preset: bool = False) -> Form:
    columns = {role: _several(names) for role, names in (preset.get("columns") or {}).items()}
    unknown = columns.keys() - {*ROLES}
    if unknown:
        raise ValueError(f"columns.{min(unknown)} is none of {', '.join(ROLES)}")
    columns |= {role: (name,) for role in ROLES if (name := getattr(settings.columns, role)) is not None}
    frame = Frame(**(preset.get("frame") or {}))
    typed = {name: value for name, value in dataclasses.asdict(settings.frame).items() if value is not None}
    kept = {**(preset.get("filter") or {}), **(settings.filter or {})}
    return Form(
        columns,
        dataclasses.replace(frame, **typed),
        {name: _several(values) for name, values in kept.items()},
        tuple(settings.key or preset.get("key") or ()),
        preset.get("row", "first"),
        tuple(preset.get("requires") or ()),
        _units(settings.time_unit or preset.get("time_unit") or "ms"),
        preset.get("start_from", "recording"),
        preset.get("reader", "text"),
        tuple(preset.get("in_file") or ()),
        preset.get("in_order", True),
        preset.get("software", ""),
        preset.get("refuse"),
        settings.subject_from or preset.get("subject_from"),
        settings.image_from or preset.get("image_from"),
        is_preset,
    )


def _units(unit: str | Mapping[str, str]) -> dict[str, str]:
    return {"start": unit, "duration": unit} if isinstance(unit, str) else {**unit}


def _several(values: Any) -> tuple[str, ...]:
    return tuple(str(value) for value in values) if isinstance(values, (list, tuple)) else (str(values),)
