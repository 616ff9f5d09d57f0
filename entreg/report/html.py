"""Render templates as self-contained pages, whose texts may hold anything that file names hold."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from entreg.errors import escaped

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, context: Mapping[str, Any]) -> str:
    """Return a page. template: the name of a file in templates/; context: its variables, beside `css`, the styles."""
    css = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    return _environment(TEMPLATES).get_template(template).render({**context, "css": css})


@functools.cache
def _environment(templates: Path) -> jinja2.Environment:
    """Return the environment of a folder of templates, which compiles each of them once."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters["sentence"] = lambda text: (
        Markup(str(text)[:1].upper() + str(text)[1:]) if isinstance(text, Markup) else text[:1].upper() + text[1:]
    )
    return environment


def _printable(value: Any) -> Any:
    """Return what a template prints, with control characters in texts escaped; markup was printed before."""
    return escaped(value, keep="\n\t") if isinstance(value, str) and not isinstance(value, Markup) else value
