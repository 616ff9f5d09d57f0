"""Files that are either whole or not there: written under a temporary name, flushed, renamed."""
from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from entreg.errors import DataError


def write(path: Path, save: Callable[[BinaryIO], Any]) -> None:
    """Lets `save` write to a temporary file beside `path`, which then takes its place. DataError where the disk is full."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            save(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """The text, UTF-8."""
    write(path, lambda file: file.write(text.encode()))


def write_json(path: Path, content: Any) -> None:
    """Indented JSON; NaN is refused, since other languages cannot read it."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """A table with all keys that a row has as header; None, or a key that a row lacks, is an empty field."""
    text = io.StringIO()
    header = dict.fromkeys(key for row in rows for key in row)
    table = csv.DictWriter(text, fieldnames=list(header), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(path, text.getvalue())
