"""Write typed results as results.json."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from entreg.io import files
from entreg.results.schema import Results


def write(path: Path, results: Results) -> None:
    """Write results.json. A kill at any moment leaves either no file or a complete one."""
    files.write_json(path, plain(results))


def plain(node: Any) -> Any:
    """Return typed results as dictionaries and lists of plain values.

    Where a class names a mapping in `spread`, the keys of the mapping stand beside those of the other fields.
    """
    if dataclasses.is_dataclass(node):
        tree: dict[str, Any] = {}
        for field in dataclasses.fields(node):
            value = plain(getattr(node, field.name))
            tree |= value if field.name in getattr(node, "spread", ()) else {field.name: value}
        return tree
    if isinstance(node, Mapping):
        return {key: plain(value) for key, value in node.items()}
    return [plain(value) for value in node] if isinstance(node, (list, tuple)) else node
