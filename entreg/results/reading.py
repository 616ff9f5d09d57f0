"""Read results.json into the classes of `schema`, and refuse a file that does not fit them."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from entreg.errors import DataError, UserError, brief
from entreg.io import files
from entreg.results import schema
from entreg.results.schema import FORMAT, Results


def read(path: Path) -> Results:
    """Return the results in a results.json.

    Raises a DataError where the file is damaged or has another form, and a UserError where another version wrote it.
    """
    tree = files.read_json(path)
    if isinstance(tree, dict) and tree.get("format") != FORMAT:
        raise UserError(
            f"{path} has format {brief(tree.get('format'))}, but this version of entreg reads format {FORMAT}; "
            "evaluate the runs again"
        )
    try:
        return typed(tree)
    except ValueError as error:
        raise DataError(f"{path}: {brief(error)}; {files.WAY_OUT}") from error


def typed(tree: Any) -> Results:
    """Return the plain values of a results.json as typed results: the reverse of `writing.plain`.

    Raises a ValueError that names what is missing or has another type.
    """
    return typing.cast(Results, _typed(Results, tree, "results"))


def _typed(kind: Any, value: Any, where: str) -> Any:  # noqa: PLR0911  # a return for each kind of annotation
    """Return the value as an object of `kind`, an annotation of the schema.

    Raises a ValueError that names the place where the value has another type. where: that place, such as `results.arms`
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (kind,) = (argument for argument in arguments if argument is not type(None))
        return _typed(kind, value, where)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _object(typing.cast(type, kind), value, where)
    if origin is dict:
        items = _checked(value, dict, where).items()
        return {key: _typed(arguments[1], item, f"{where}.{key}") for key, item in items}
    if origin in (list, tuple):
        elements = enumerate(_checked(value, list, where))
        return origin(_typed(arguments[0], element, f"{where}[{i}]") for i, element in elements)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return _checked(value, kind, where)


def _object(kind: type, value: Any, where: str) -> Any:
    """Return an object of a class of the schema.

    Keys that no field has belong to the mappings that the class names in `spread`: objects to a mapping of objects,
    other values to a mapping of other values.
    """
    tree = _checked(value, dict, where)
    annotations = typing.get_type_hints(kind, vars(schema))
    fields = [field.name for field in dataclasses.fields(kind)]
    spread = getattr(kind, "spread", ())
    # a field with a default was added to the format later
    optional = {field.name for field in dataclasses.fields(kind) if field.default is not dataclasses.MISSING}
    missing = [name for name in fields if name not in spread and name not in tree and name not in optional]
    if missing:
        raise ValueError(f"{where} has no {', '.join(missing)}")
    arguments: dict[str, Any] = {
        name: _typed(annotations[name], tree[name], f"{where}.{name}")
        for name in fields
        if name not in spread and name in tree
    }
    rest = {key: item for key, item in tree.items() if key not in arguments}
    for name in spread:
        item_kind = typing.get_args(annotations[name])[1]
        holds_objects = dataclasses.is_dataclass(item_kind)
        items = {key: item for key, item in rest.items() if isinstance(item, Mapping) == holds_objects}
        arguments[name] = {key: _typed(item_kind, item, f"{where}.{key}") for key, item in items.items()}
    return kind(**arguments)


def _checked(value: Any, kind: Any, where: str) -> Any:
    """Return the value; raise a ValueError where it is not of this type. A bool does not count as an int."""
    if not isinstance(value, kind) or isinstance(value, bool) and kind is not bool:
        raise ValueError(f"{where} is {brief(value)}, which is no {kind.__name__}")
    return value
