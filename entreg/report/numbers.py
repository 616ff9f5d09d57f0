"""Print numbers of results.json as HTML that names where each number stands in the file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

MISSING = object()


class Numbers:
    """Prints values of results.json so that a page can be compared with the file.

    Each number stands in an element with its path (`data-key`, keys joined by dots) and its full precision
    (`data-value`).
    """

    def __init__(self, tree: Mapping[str, Any]) -> None:
        self._tree = tree

    def value(self, *path: Any) -> Any:
        """Return the value at the path, or MISSING. Parts of the path may be tuples of keys."""
        node: Any = self._tree
        for key in _joined(path):
            in_mapping = isinstance(node, Mapping) and key in node
            if not in_mapping and not (isinstance(node, (list, tuple)) and isinstance(key, int) and key < len(node)):
                return MISSING
            node = node[key]
        return node

    def __call__(self, *path: Any, digits: int = 3, sign: bool = False, percent: bool = False, why: str = "") -> Markup:
        """Return one number as text.

        percent: whether it is a share, which is multiplied by 100; why: the reason that is printed where there is none
        """
        value = self.value(*path)
        if value is MISSING or value is None or isinstance(value, float) and not math.isfinite(value):
            return self._mark(path, None if value is not MISSING else MISSING, f"n/a ({why})" if why else "n/a")
        shown = value * 100 if percent else value
        text = f"{shown:{'+' if sign else ''},.{0 if isinstance(value, int) else digits}f}"
        if not float(text.replace(",", "")):
            text = text.lstrip("+-")  # a rounded zero has no sign
        return self._mark(path, value, _typeset(text) + ("\N{NO-BREAK SPACE}%" if percent else ""))

    def p(self, *path: Any, relation: bool = False) -> Markup:
        """Return a p value. relation: whether an equals sign precedes it, where there is no other."""
        value = self.value(*path)
        if value is MISSING or value is None:
            return self._mark(path, value, "n/a")
        text = "<\N{NO-BREAK SPACE}0.0001" if value < 1e-4 else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"
        return self._mark(path, value, f"=\N{NO-BREAK SPACE}{text}" if relation and not text.startswith("<") else text)

    def ends(self, path: tuple[Any, ...], key: str, digits: int = 3, sign: bool = False) -> Markup:
        """Return the interval at the path and key, as `low to high`."""
        low, high = (self(path, key, end, digits=digits, sign=sign) for end in (0, 1))
        return Markup("{} to {}").format(low, high)

    @staticmethod
    def _mark(path: tuple[Any, ...], value: Any, text: str) -> Markup:
        """Return the text in an element that names its path and its value."""
        if value is MISSING:
            return Markup("<span>{}</span>").format(text)
        key = ".".join(str(part) for part in _joined(path))
        return Markup('<data data-key="{}" data-value="{}" value="{}">{}</data>').format(
            key, json.dumps(value), json.dumps(value), text
        )


def _joined(path: tuple[Any, ...]) -> list[Any]:
    """Return the keys of a path whose parts may be tuples."""
    return [key for part in path for key in (part if isinstance(part, tuple) else (part,))]


def _typeset(text: str) -> str:
    """Return the number with a minus sign and narrow spaces between thousands."""
    return text.replace("-", "\N{MINUS SIGN}").replace(",", "\N{NARROW NO-BREAK SPACE}")
