"""Long work tells how far it has come: on a terminal by a bar, else in the log, and only the rank that may."""

import logging

import pytest

from entreg import progress
from entreg.progress import Progress


class Clock:
    """Monotonic time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def steps(clock, count, each_s):
    with Progress("judging on osie", count, "image") as one:
        for _ in range(count):
            clock.now_s += each_s
            one.step()


def test_in_a_log_there_is_a_line_a_minute(clock, caplog):
    with caplog.at_level(logging.INFO):
        steps(clock, 9, each_s=25)
    # every third step is the first one after a minute; 3 steps in 75 s are 0.04 a second, so that 6 need 150 s
    assert [record.getMessage() for record in caplog.records] == [
        "judging on osie: 3 of 9 images, 0.04 images/s, 2 minutes left",
        "judging on osie: 6 of 9 images, 0.04 images/s, 1 minutes left",
        "judging on osie: 9 of 9 images, 0.04 images/s, 0 minutes left",
    ]


def test_short_work_says_nothing(clock, caplog, capsys):
    with caplog.at_level(logging.INFO):
        steps(clock, 9, each_s=5)
    assert caplog.text == "" and capsys.readouterr() == ("", "")


def test_other_ranks_say_nothing(clock, caplog, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    for terminal in (True, False):
        monkeypatch.setattr("sys.stderr.isatty", lambda terminal=terminal: terminal)
        with caplog.at_level(logging.INFO):
            steps(clock, 3, each_s=100)
    assert caplog.text == "" and capsys.readouterr() == ("", "")


def test_a_terminal_shows_a_bar_and_no_lines(clock, caplog, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with caplog.at_level(logging.INFO):
        steps(clock, 3, each_s=100)
    shown = capsys.readouterr().err
    assert "judging on osie:   0%" in shown and "0/3" in shown and caplog.text == ""


@pytest.mark.parametrize(
    "count, lines",
    [
        (400_000_000, ["a.zip: 250.0 of 400.0 MB, 2.00 MB/s, 1 minutes left"]),
        (None, ["a.zip: 250.0 MB, 2.00 MB/s"]),
    ],
)
def test_bytes_are_said_in_megabytes_and_what_was_there_before_is_no_speed(clock, caplog, count, lines):
    with caplog.at_level(logging.INFO), Progress("a.zip", count, "B", done=50_000_000) as one:
        for _ in range(2):
            clock.now_s += 50
            one.step(100_000_000)
    assert [record.getMessage() for record in caplog.records] == lines


def test_what_is_said_beside_stands_in_the_log_alone(clock, caplog, capsys, monkeypatch):
    with caplog.at_level(logging.INFO), Progress("a.zip", 3, "B") as one:
        one.say("three bytes")
    assert [record.getMessage() for record in caplog.records] == ["a.zip: three bytes"]
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Progress("a.zip", 3, "B") as one:
        one.say("three bytes")
    assert len(caplog.records) == 1 and "three bytes" not in capsys.readouterr().err
