"""Compose a config as the command line does, to be read before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from entreg.cli import in_process
from entreg.command_line import quoted
from entreg.config import Config
from entreg.config.settings import settings_of
from entreg.errors import SettingError


@dataclass(frozen=True)
class Composed:
    """A config, and the overrides that compose it. It is read, and changed by further overrides alone.

    overrides: such as `loss=nll_entropy`, as on the command line
    """

    overrides: tuple[str, ...]
    config: Config


def compose(overrides: Sequence[str] = ()) -> Composed:
    """Compose the config of a job from overrides, such as `["loss=nll_entropy", "seed=1"]`, and check it.

    The options and settings are those of the command line; `--help=all` lists them. Nothing is started, and Hydra's
    globals stay as they were. Raises a SettingError that names what is wrong.
    """
    words = _words(overrides)
    return Composed(words, in_process.config_of(words))


def words_of(job: Composed | Sequence[str], folder: str | Path | None) -> list[str]:
    """Return the words of a job. Raises a SettingError where its config was changed after it was composed.

    folder: that of the job; None: the one that the words give
    """
    words = list(job.overrides if isinstance(job, Composed) else _words(job))
    if isinstance(job, Composed):
        now, then = (dict(_values(config)) for config in (job.config, compose(job.overrides).config))
        then["study"] = now["study"]  # where none is typed, each composition has another
        changed = [key for key in {**now, **then} if now.get(key) != then.get(key)]
        if changed:
            raise SettingError(
                f"{', '.join(changed)} changed after the config was composed; give the new value as an override: "
                f"compose([..., '{changed[0]}=VALUE'])"
            )
    return words if folder is None else [*words, f"hydra.run.dir={quoted(str(Path(folder).expanduser()))}"]


def _values(config: Config) -> list[tuple[str, object]]:
    return [(setting.key, setting.value) for setting in settings_of(config)]


def _words(overrides: Sequence[str]) -> tuple[str, ...]:
    if isinstance(overrides, str) or not all(isinstance(word, str) for word in overrides):
        raise SettingError(f"overrides are a list of words, such as ['loss=nll_entropy', 'seed=1'], not {overrides!r}")
    options = [word for word in overrides if word.startswith("-")]
    if options:
        raise SettingError(f"{options[0]}: options with a hyphen are for the command line; overrides are KEY=VALUE")
    return tuple(overrides)
