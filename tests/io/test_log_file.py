"""train.log where it cannot be written: a line on stderr, and the run goes on."""

import errno
import logging
import os

import pytest

from entreg.io.log_file import LineFormatter, LogFile


@pytest.fixture
def logger():
    made = logging.Logger("a run's")
    yield made
    for handler in made.handlers:
        handler.close()


def test_lines_are_appended_to_a_file_that_is_made_with_the_first(tmp_path, logger):
    path = tmp_path / "train.log"
    path.write_text("before\n")
    logger.addHandler(LogFile(str(path)))
    logger.info("größer")
    assert path.read_text(encoding="utf-8") == "before\ngrößer\n"
    LogFile(str(tmp_path / "never.log"))
    assert not (tmp_path / "never.log").exists()


def test_control_characters_of_names_are_escaped(tmp_path, logger):
    log_file = LogFile(str(tmp_path / "train.log"))
    log_file.setFormatter(LineFormatter("> %(message)s"))
    logger.addHandler(log_file)
    logger.info("%s\n\tnext", "a\x1b[31m\ud800é.png")
    assert (tmp_path / "train.log").read_text(encoding="utf-8") == r"> a\x1b[31m\ud800é.png" + "\n\tnext\n"


def test_a_full_disk_is_said_once(logger, capsys):
    logger.addHandler(LogFile("/dev/full"))
    for _ in range(3):
        logger.info("a line")
    reason = os.strerror(errno.ENOSPC)
    assert capsys.readouterr().err == f"/dev/full: cannot be written: {reason}; the log is incomplete\n"


def test_a_file_that_cannot_be_opened_is_said_once(tmp_path, logger, capsys):
    logger.addHandler(LogFile(str(tmp_path)))
    for _ in range(2):
        logger.info("a line")
    reason = os.strerror(errno.EISDIR)
    assert capsys.readouterr().err == f"{tmp_path}: cannot be written: {reason}; the log is incomplete\n"


def test_a_message_that_cannot_be_formatted_is_logging_s_to_tell(tmp_path, logger, capsys):
    logger.addHandler(LogFile(str(tmp_path / "a.log")))
    logger.info("%d", "no number")
    assert "--- Logging error ---" in capsys.readouterr().err
