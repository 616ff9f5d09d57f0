"""Answer or rewrite the words that Hydra would refuse, before Hydra parses the command line."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from entreg.command_line import program, quoted

# by task, the setting that names the folder it works on: `entreg evaluate FOLDER` means `task=evaluate runs=FOLDER`
FOLDER_SETTING = {"evaluate": "runs", "predict": "run", "verify": "runs", "figures": "runs"}

HELP = """\
entreg trains a saliency model with and without a spatial bias of its own, and evaluates which generalises better.

  {program} loss=nll_entropy                                        one run, here (synthetic data)
  {program} -m loss=nll,nll_entropy                                 both arms, one after the other
  {program} -m loss=nll,nll_entropy hydra/launcher=submitit_slurm   both arms, on a SLURM cluster
  {program} -m experiment=osie loss=nll,nll_entropy                 the study on a public data set
  {program} preview data=folder data.root=PATH                      what does this data set look like?
  {program} prepare data=mit1003 ood=[cat2000]                      data, weights, features: no network later
  {program} status                                                  how far is the newest sweep? (--json)
  {program} cancel multirun/NAME                                    end this sweep's jobs on the cluster
  {program} evaluate                                                what did the newest sweep show?
  {program} evaluate multirun/NAME                                  and what did this one?
  {program} figures EVALUATION                                       as PDF, SVG and PNG with their numbers, for a paper
  {program} verify multirun/NAME                                    are data, runs and results still what they were?
  {program} predict RUN images=FOLDER                               where do people look in these photos?

A word of the form group=option chooses a part of the config, and key=value changes one setting:

{groups}

  --help=all        every setting with its default, range and meaning, and what this command line composes
  --hydra-help      Hydra's own options, such as -m (--multirun) and --cfg job
  --version         the versions of entreg and PyTorch
"""


def answer(words: Sequence[str]) -> str | None:
    """Return the text that `--help` or `--version` prints; None where the words ask for neither."""
    if "--version" in words:
        return f"entreg {_version('entreg')}, torch {_version('torch')}"
    if {"--help", "-h"} & {*words}:
        return HELP.format(program=program(), groups=_groups()).rstrip()
    return None


def expanded(words: Sequence[str]) -> list[str]:
    """Return the words as Hydra accepts them: `evaluate FOLDER` becomes `task=evaluate runs=FOLDER`.

    The first word may name a task, and the second the folder that this task works on. `--help=all` becomes Hydra's own
    `--help`, whose template lists every setting.
    """
    first, *rest = words or [""]
    if first in _options("task"):
        setting = FOLDER_SETTING.get(first)
        if rest and setting and not rest[0].startswith("-") and "=" not in rest[0]:
            rest[0] = f"{setting}={quoted(rest[0])}"
        words = [f"task={first}", *rest]
    return ["--help" if word == "--help=all" else word for word in words]


def conf_folder() -> Path:
    """Return the folder of the options: `conf` in an installed package, or beside the package in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


def _options(group: str) -> list[str]:
    """Return the options of a group."""
    return sorted(path.stem for path in (conf_folder() / group).glob("*.yaml"))


def _groups() -> str:
    """Return a line for each group, with its options."""
    groups = sorted(path.name for path in conf_folder().iterdir() if path.is_dir() and path.name != "hydra")
    return "\n".join(f"  {group}={', '.join(_options(group))}" for group in groups)


def _version(package: str) -> str:
    """Return the version of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"
