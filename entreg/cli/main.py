"""The entry point of `train.py`, `entreg` and `python -m entreg`."""

from __future__ import annotations

import os
import signal
import sys

from entreg.cli import arguments, sweep_commands
from entreg.errors import SettingError


def main() -> None:
    """Answer `--help` or `--version`, show or cancel a sweep, or let Hydra compose the config and run its jobs.

    Prints a sweep's table at its end, also where a job failed, and evaluates it where that was asked for. Exits with 2
    where the command line is refused, and with 1 where a job failed.
    """
    try:
        _answer_or_run(sys.argv[1:])
    except BrokenPipeError:  # `--help=all | head` closes the pipe before the end
        # Python writes what is left when it ends, and would fail there once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)  # as a program that the signal ends: a sweep may have failed before


def _answer_or_run(words: list[str]) -> None:
    answer = arguments.answer(words)
    if answer is not None:
        print(answer, flush=True)
        return
    command = sweep_commands.asked_for(words)
    if command is not None:
        sys.exit(sweep_commands.run(command, words))
    sys.argv[1:] = arguments.expanded(words)

    # Hydra and everything that a job needs take seconds to import; --help and --version need not wait for them
    from entreg.cli import composition, sweep_evaluation, sweep_table

    try:
        composition.register(composition.typed_folders())
    except SettingError as error:
        composition.refuse(str(error))
    composition.refuse_outdated_words(sys.argv[1:])
    with sweep_table.printed_at_the_end():
        composition.run()
    for sweep in sweep_table.to_evaluate():
        sweep_evaluation.evaluate(sweep_evaluation.words_here([job.words for job in sweep.jobs or []], sweep.folder))
