"""Pages are rendered with texts escaped."""

from __future__ import annotations

from markupsafe import Markup

from entreg.report import html


def test_texts_are_escaped_and_markup_is_printed_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(html, "TEMPLATES", tmp_path)
    (tmp_path / "page.css").write_text("p { }")
    (tmp_path / "a.j2").write_text("{{ css }}|{{ text }}|{{ mark }}|{{ number }}|{{ text | sentence }}")
    context = {"text": "a<\x1b\n", "mark": Markup("<b>\n</b>"), "number": 3}
    assert html.render("a.j2", context) == "p { }|a&lt;\\x1b\n|<b>\n</b>|3|A&lt;\\x1b\n"
