"""Figures for light and dark pages: black, grey and white change places, colours and pictures stay."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from matplotlib.figure import Figure

from entreg.report.svg import INK, PAPER, svg

pytestmark = pytest.mark.painted

SVG = "{http://www.w3.org/2000/svg}"


def drawing(draw) -> str:
    """What is drawn on the axes of a figure."""
    figure = Figure(figsize=(2, 2))
    draw(figure.subplots())
    return svg(figure).decode()


def greys(text: str) -> tuple[dict[str, int], dict[str, int]]:
    """The levels (0 to 255) of the named greys on a light page and on a dark one."""
    style = ET.fromstring(text).find(f"{SVG}style").text
    light, dark = re.fullmatch(
        r":root\{fill:var\(--grey-00\);(.*?)\}@media screen and \(prefers-color-scheme: dark\)\{:root\{(.*?)\}.*", style
    ).groups()
    return tuple(
        {name: int(level, 16) for name, level in re.findall(r"--grey-(\w\w):#(\w\w)\2\2;", one)}
        for one in (light, dark)
    )


def test_white_becomes_dark_and_black_light():
    light, dark = greys(drawing(lambda axes: axes.plot([0, 1], color="black")))
    assert (light["ff"], light["00"]) == (255, 0)
    assert dark["ff"] / 255 == pytest.approx(PAPER, abs=0.002) and dark["00"] / 255 == pytest.approx(INK, abs=0.002)


def test_a_grey_lies_as_far_between_as_it_did():
    """51 is a fifth of the way from black to white."""
    light, dark = greys(drawing(lambda axes: axes.plot([0, 1], color="#333333")))
    assert light["33"] == 51
    assert dark["33"] / 255 == pytest.approx(INK + 0.2 * (PAPER - INK), abs=0.002)


def test_colours_stay_and_no_grey_is_left_without_a_name():
    text = drawing(
        lambda axes: (axes.plot([0, 1], color="#0072b2"), axes.bar(0, 1, color="#d55e00"), axes.set_title("a"))
    )
    _, style, rest = re.split("<style>|</style>", text, maxsplit=2)
    assert "stroke: #0072b2" in rest and "fill: #d55e00" in rest
    assert "stroke: var(--grey-00)" in rest and "fill: var(--grey-ff)" in rest
    assert not [one for one in re.findall(r"(?:fill|stroke): #(\w{6})", rest) if len({*re.findall("..", one)}) == 1]


def test_scattered_points_keep_their_colours():
    text = drawing(lambda axes: axes.scatter([0], [0], c="white", edgecolors="black"))
    kept = re.search(r"\[id\^=PathCollection\]\{(.*?)\}", text)[1]
    assert "--grey-ff:#ffffff;" in kept and "--grey-00:#000000;" in kept
    points = ET.fromstring(text).find(f".//{SVG}g[@id='PathCollection_1']")
    assert "fill: var(--grey-ff)" in ET.tostring(points, encoding="unicode")


def test_the_same_figure_gives_the_same_bytes_that_say_nothing_of_the_day():
    first, second = (drawing(lambda axes: axes.plot([0, 1])) for _ in range(2))
    assert first == second and "<metadata" not in first
