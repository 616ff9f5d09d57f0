"""One place on an image of 200 x 100 px, however it is counted; and tables of any form give the same fixations."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from entreg.config.tables import Columns, Frame, TableData, TableText
from entreg.data import recording
from entreg.data.tables.frames import to_image
from entreg.errors import SettingError

SCREEN = {"screen_width_px": 1000, "screen_height_px": 500}
LARGE = {"shown_x_px": 100, "shown_y_px": 50, "shown_width_px": 400, "shown_height_px": 200}  # twice the stored size


def place(x, y, px_per_degree=None, shown=None, **frame):
    one = (np.array([float(value)]) for value in (x, y, 200, 100))
    found = to_image(Frame(**frame), *one, px_per_degree, {key: np.array([v]) for key, v in (shown or {}).items()})
    return tuple(float(axis[0]) for axis in found[:2]), bool(found[2][0])


@pytest.mark.parametrize(
    "x, y, frame",
    [
        (50, 25, {}),
        (51, 26, {"index_base": 1}),
        (50, 75, {"origin": "bottom_left"}),
        (-50, 25, {"origin": "centre"}),
        (0.25, 0.25, {"unit": "shares"}),
        (0.25, 0.75, {"unit": "shares", "origin": "bottom_left"}),
        (-5, 2.5, {"unit": "degrees", "origin": "centre", "px_per_degree": 10}),
        (100, 50, {"shown_width_px": 400, "shown_height_px": 200}),
        (450, 225, {"of": "screen", **SCREEN}),
        (200, 100, {"of": "screen", **LARGE}),
        (0.2, 0.2, {"of": "screen", "unit": "shares", **SCREEN, **LARGE}),
        (0.2, 0.8, {"of": "screen", "unit": "shares", "origin": "bottom_left", **SCREEN, **LARGE}),
        (-300, 150, {"of": "screen", "origin": "centre", **SCREEN, **LARGE}),
        (-15, 7.5, {"of": "screen", "origin": "centre", "unit": "degrees", "px_per_degree": 10, **SCREEN, **LARGE}),
    ],
    ids=str,
)
def test_the_same_place(x, y, frame):
    assert place(x, y, **frame) == (pytest.approx((50, 25), abs=1e-9), False)


def test_where_an_image_was_shown_may_stand_in_each_row():
    shown = {"shown_x": 100.0, "shown_y": 50.0, "shown_width": 400.0, "shown_height": 200.0}
    assert place(200, 100, shown=shown, of="screen") == ((50, 25), False)


@pytest.mark.parametrize("x, y", [(3270, 10), (-3270, 10), (10, -500), (10, 1000)])
def test_a_place_a_screen_beyond_the_screen_is_impossible(x, y):
    assert place(x, y, of="screen", **SCREEN)[1] and not place(1999, -499, of="screen", **SCREEN)[1]


def test_a_share_of_several_screens_is_impossible():
    assert place(0.5, 7.43, unit="shares", of="screen", **SCREEN)[1] and not place(0.5, 1.3, unit="shares")[1]


def test_a_screen_of_unknown_size_is_asked_for():
    with pytest.raises(SettingError, match="data.frame.screen_width_px is needed: .*where the image stood"):
        place(1, 1, of="screen")
    with pytest.raises(SettingError, match="data.frame.screen_width_px is needed: x and y are counted on the screen$"):
        place(0.1, 0.1, of="screen", unit="shares", **LARGE)


PX_PER_DEGREE = 20.0


@dataclass
class Written:
    """Fixations, and a table that counts them in some frame, written in some form."""

    x: list[float]
    y: list[float]
    frame: Frame
    text: TableText


@st.composite
def written(draw):
    numbers = st.floats(0, 99.9)
    count = draw(st.integers(1, 4))
    of, unit = draw(st.sampled_from(("image", "screen"))), draw(st.sampled_from(("px", "shares", "degrees")))
    scale = draw(st.sampled_from((None, 0.5, 3.0)))
    edge = draw(st.sampled_from((None, (12.0, -7.0))))
    frame = Frame(
        origin=draw(st.sampled_from(("top_left", "bottom_left", "centre"))),
        unit=unit,
        of=of,
        index_base=draw(st.sampled_from((0, 1))) if unit == "px" else None,
        **(SCREEN if of == "screen" else {}),
        **({"shown_width_px": 200 * scale, "shown_height_px": 100 * scale} if scale else {}),
        **({"shown_x_px": edge[0], "shown_y_px": edge[1]} if edge and of == "screen" else {}),
    )
    separator = draw(st.sampled_from(("comma", "tab", "semicolon", "space")))
    text = TableText(
        separator=separator,
        decimal="point" if separator == "comma" else draw(st.sampled_from(("point", "comma"))),
        encoding=draw(st.sampled_from(("utf-8", "utf-16", "latin-1", "cp1252", "mac-roman"))),
    )
    places = [[draw(numbers) for _ in range(count)] for _ in range(2)]
    return Written([2 * x for x in places[0]], places[1], frame, text)


def counted(case: Written) -> list[tuple[float, float]]:
    """The way back: from pixels of the stored image to what a program would have written."""
    frame, rows = case.frame, []
    for x, y in zip(case.x, case.y, strict=True):
        row = []
        for value, stored, shown, edge, screen, down in (
            (x, 200, frame.shown_width_px, frame.shown_x_px, 1000, False),
            (y, 100, frame.shown_height_px, frame.shown_y_px, 500, True),
        ):
            size = shown or stored
            value = value * size / stored  # noqa: PLW2901
            if frame.of == "screen":
                value += (screen - size) / 2 if edge is None else edge  # noqa: PLW2901
            extent = screen if frame.of == "screen" else size
            if frame.origin == "centre":
                value = extent / 2 - value if down else value - extent / 2  # noqa: PLW2901
            elif frame.origin == "bottom_left" and down:
                value = extent - value  # noqa: PLW2901
            unit = {"px": 1, "shares": extent, "degrees": PX_PER_DEGREE * size / stored}[frame.unit]
            row.append(value / unit + (frame.index_base or 0))
        rows.append((row[0], row[1]))
    return rows


@settings(max_examples=150, deadline=None)
@given(written())
def test_a_table_of_any_form_and_frame_gives_the_same_fixations(tmp_path_factory, case):
    root = tmp_path_factory.mktemp("any", numbered=True)
    (root / "stimuli").mkdir()
    Image.new("L", (200, 100)).save(root / "stimuli/bä.png")
    separator = {"comma": ",", "tab": "\t", "semicolon": ";", "space": " "}[case.text.separator]
    lines = [separator.join(("image", "right", "down"))]
    for x, y in counted(case):
        numbers = [repr(value).replace(".", "," if case.text.decimal == "comma" else ".") for value in (x, y)]
        lines.append(separator.join(("bä.png", *numbers)))
    (root / "fixations.csv").write_bytes("\n".join(lines).encode(case.text.encoding))
    typed = TableData(
        root=str(root),
        text=case.text,
        frame=case.frame,
        columns=Columns(x="Right", y="Down"),
        px_per_degree=PX_PER_DEGREE,
    )
    found = recording.read(typed, root / "stimuli").fixations
    assert found["x"].to_numpy() == pytest.approx(case.x, abs=1e-9)
    assert found["y"].to_numpy() == pytest.approx(case.y, abs=1e-9)
