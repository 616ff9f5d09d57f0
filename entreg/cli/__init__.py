"""The command line, from the typed words to the jobs that run. It alone knows Hydra, but for sweep_words."""

from entreg.cli.main import main

__all__ = ["main"]
