"""Lines about one run go to its own log, others to all."""

import logging

from entreg.runs.folder import RunFolder
from entreg.runs.log_routing import about, logs_of


def test_a_line_about_a_run_stands_in_its_log_alone(tmp_path, capsys):
    folders = [RunFolder(tmp_path / name) for name in "ab"]
    root, terminal = logging.getLogger(), logging.StreamHandler()
    before, level = list(root.handlers), root.level
    root.handlers = [terminal]
    root.setLevel(logging.INFO)
    try:
        with logs_of(folders, "%(message)s"):
            logging.info("both")
            with about(folders[0]):
                logging.info("first %d", 1)
            with about(folders[1]):
                logging.info("second")
        logging.info("none")
        assert root.handlers == [terminal]
    finally:
        root.handlers = before
        root.setLevel(level)
    assert folders[0].log.read_text() == "both\nfirst 1\n"
    assert folders[1].log.read_text() == "both\nsecond\n"
    assert capsys.readouterr().err == "both\na: first 1\nb: second\nnone\n"
