import pytest
import yaml

from entreg.config.tables import Columns, Frame, TableData
from entreg.data.tables.presets import FOLDER, forms, names
from entreg.errors import DataError, SettingError

PRESET = """
asks: {columns.image: which variable of the trial names it}
forms:
  - software: Program 3
    columns: {x: [FIX_X, X], y: FIX_Y}
    frame: {of: screen, origin: bottom_left}
    filter: {TYPE: [fixation], OK: 1}
    key: [NUMBER]
    start_from: image
"""


@pytest.fixture
def preset(tmp_path):
    (tmp_path / "mine.yaml").write_text(PRESET)
    return str(tmp_path / "mine.yaml")


def test_without_a_preset_columns_have_their_own_names():
    (form,) = forms(TableData(columns=Columns(x="X"), filter={"a": 1}, key=["n"], time_unit="s"))
    assert (form.columns, form.filter, form.key, form.time_unit["start"]) == (
        {"x": ("X",)},
        {"a": ("1",)},
        ("n",),
        "s",
    )
    assert form.required == ("image", "x", "y") and not form.is_preset


def test_what_is_typed_goes_before_the_preset(preset):
    typed = TableData(
        table=preset,
        columns=Columns(image="page", y="Y"),
        frame=Frame(origin="top_left", screen_width_px=800),
        filter={"OK": [2], "EYE": "L"},
    )
    (form,) = forms(typed)
    assert form.columns == {"image": ("page",), "x": ("FIX_X", "X"), "y": ("Y",)}
    assert (form.frame.origin, form.frame.of, form.frame.screen_width_px) == ("top_left", "screen", 800)
    assert form.filter == {"TYPE": ("fixation",), "OK": ("2",), "EYE": ("L",)}
    assert (form.key, form.start_from, form.software) == (("NUMBER",), "image", "Program 3")


def test_what_a_preset_asks_for_has_to_be_typed(preset):
    with pytest.raises(SettingError, match="mine.yaml needs data.columns.image: which variable of the trial names it"):
        forms(TableData(table=preset))


def test_an_unknown_preset_is_answered_with_those_that_there_are():
    with pytest.raises(SettingError, match=f"data.table=eyes: there is no such preset; there are {', '.join(names())}"):
        forms(TableData(table="eyes"))


@pytest.mark.parametrize(
    "content", ["a: 1", "forms: [{columns: {z: a}}]", "forms: [{frame: {up: 1}}]", "forms: 3", "[]"]
)
def test_what_is_no_preset_is_named(tmp_path, content):
    (tmp_path / "p.yaml").write_text(content)
    with pytest.raises(DataError, match=f"{tmp_path}/p.yaml: is no preset: "):
        forms(TableData(table=str(tmp_path / "p.yaml")))


@pytest.mark.parametrize("name", names())
def test_every_preset_says_which_software_it_was_made_for(name):
    content = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    assert (FOLDER / f"{name}.yaml").read_text().startswith("# ")
    assert all(form.get("software") or form.get("refuse") for form in content["forms"])
