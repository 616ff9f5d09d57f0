"""preview.html: self-contained, with every count, and warnings beside what shows them."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from entreg.data.dataset import Fixations
from entreg.report import preview_page
from entreg.runs.folder import RunFolder
from tests.report.browser import Page
from tests.report.test_data_pictures import looked

pytestmark = pytest.mark.painted


@pytest.fixture
def look(tmp_path):
    (tmp_path / "stimuli").mkdir()
    return looked(tmp_path / "stimuli")


def test_the_page_holds_every_set_with_its_counts_and_pictures(look, tmp_path):
    folder, drawn = RunFolder(tmp_path / "p"), []
    outside = Fixations(np.zeros(1200, dtype=int), np.full(1200, -5.0), np.full(1200, 9.0))
    dropped = dataclasses.replace(
        look.dataset, dropped={"outside the image": 1200, "first of a trial": 0}, outside=outside
    )
    looks = {"data": dataclasses.replace(look, dataset=dropped, implausible=("It is odd.",)), "ood.other": look}
    preview_page.write(folder, looks, lambda: drawn.append(1))
    page = Page(folder.preview.read_text(encoding="utf-8"))
    assert len(drawn) == 4 and len(page.pictures) == 2 * (2 + 3) and page.title == "Preview of two, two"
    assert all(source.startswith(("data:image/jpeg;base64,", "data:image/svg+xml;base64,")) for source in page.loaded)
    text = folder.preview.read_text(encoding="utf-8")
    pairs = re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", text)
    assert pairs[:8] == [
        ("images in the set", "2"),
        ("images chosen", "2"),
        ("images used", "2 (the chosen ones that have fixations)"),
        ("fixations read", "1,203"),
        ("fixations outside the image, dropped", "1,200"),
        ("fixations first of a trial, dropped", "0"),
        ("fixations used", "3"),
        ("people", "not known"),
    ]
    assert text.count("1,200 of 1,203 fixations lie outside their image: drawn in red.") == 1
    assert text.count("<strong>Look here:</strong> It is odd.</p>") == 1
    for number in range(5):  # two images, and three figures of both
        kind = "jpeg" if number < 2 else "svg"
        start = folder.preview_picture("ood.other", number, kind).read_bytes()[:5]
        assert start == {"jpeg": b"\xff\xd8\xff\xe0\x00", "svg": b"<?xml"}[kind]
    assert not folder.preview_picture("ood.other", 5, "svg").exists()


def test_notes_stand_on_the_page(look, tmp_path):
    noted = dataclasses.replace(look.dataset, notes=("it is <incomplete>\x1b",))
    preview_page.write(RunFolder(tmp_path), {"data": dataclasses.replace(look, dataset=noted)})
    text = RunFolder(tmp_path).preview.read_text(encoding="utf-8")
    assert "<strong>Look here:</strong> it is &lt;incomplete&gt;\\x1b</p>" in text
