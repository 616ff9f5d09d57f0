"""The entry point of `train.py`, `entreg` and `python -m entreg`."""

from __future__ import annotations

import sys

from entreg.cli import arguments


def main() -> None:
    """Answer `--help` or `--version`, or let Hydra compose the config and run its jobs.

    Prints a sweep's table at its end, also where a job failed. Exits with 2 where the command line is refused, and with
    1 where a job failed.
    """
    words = sys.argv[1:]
    answer = arguments.answer(words)
    if answer is not None:
        print(answer)
        return
    sys.argv[1:] = arguments.expanded(words)

    # Hydra and everything that a job needs take seconds to import; --help and --version need not wait for them
    from entreg.cli import composition, sweep_table

    composition.register()
    composition.refuse_outdated_words(sys.argv[1:])
    with sweep_table.printed_at_the_end():
        composition.run()
