"""The command line, from the typed words to the jobs that run. This is the only package that knows Hydra."""

from entreg.cli.main import main

__all__ = ["main"]
