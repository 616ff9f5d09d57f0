"""Tell Hydra the schemas, the functions that conf/ uses, the launchers and the job, and let it run."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from entreg.cli import execution, launchers, optuna_sweeper, outdated_words
from entreg.cli.arguments import conf_folder
from entreg.cli.execution import without_hydra
from entreg.cli.submission import job_name
from entreg.cli.submitit_job import ignore_schema_warning
from entreg.cli.typed_choices import DEFAULT_OOD, RESOLVER
from entreg.config import FIRST_OF_SETS, Config, Data, Loss
from entreg.config.settings import listed
from entreg.data.sources import sources
from entreg.distributed.launch import new_study
from entreg.losses import losses


def register(folders: Sequence[Path] = ()) -> None:
    """Register the schemas, the resolvers that conf/ uses, the launchers and the sweeper with Hydra.

    conf/data/ and conf/loss/ refer to the schemas of data sources and losses as `schema_NAME`. Every data set of
    conf/data/ becomes an option of `ood` as well, so that models can be evaluated on it without a further file, and of
    `sets`, which it lets the model learn from instead of `data`, with no foreign sets but those that are chosen. The
    resolvers are `new_study`, `job_name`, `asked`, `unsaid` (see `typed_choices.py`), and `settings`, which lists every
    setting for `--help=all`.

    Raises a SettingError where a source or a loss cannot be imported.

    folders: those that hold options beside conf/
    """
    schemas: dict[str, Mapping[str, type[Any]]] = {"data": sources(), "loss": losses()}
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    for name, source in schemas["data"].items():
        store.store(group="data", name=f"schema_{name}", node=source(source=name))
    for name, loss in schemas["loss"].items():
        store.store(group="loss", name=f"schema_{name}", node=loss)
    for path in (path for folder in (conf_folder(), *folders) for path in folder.glob("data/*.yaml")):
        store.store(group="ood", name=path.stem, node={"defaults": [f"/data/{path.stem}@{path.stem}"]})
        of_sets = [f"/data/{path.stem}@sets.{path.stem}", {"override /data": FIRST_OF_SETS.name}, {"override /ood": []}]
        store.store(group="sets", name=path.stem, node={"defaults": of_sets}, package="_global_")

    store.store(group="data", name=FIRST_OF_SETS.name, node=FIRST_OF_SETS)
    store.store(group="ood", name=DEFAULT_OOD, node={"defaults": ["/data/synthetic_ood@synthetic_ood"]})

    def settings(*, _root_: DictConfig) -> str:
        return _settings_help(_root_, schemas)

    OmegaConf.register_new_resolver("settings", settings, replace=True)
    OmegaConf.register_new_resolver("new_study", new_study, use_cache=True, replace=True)
    OmegaConf.register_new_resolver(RESOLVER, lambda: None, replace=True)
    OmegaConf.register_new_resolver("asked", asked, replace=True)
    OmegaConf.register_new_resolver("job_name", lambda *, _root_: job_name(_root_.study), replace=True)
    launchers.register()
    optuna_sweeper.register()


def typed_folders() -> list[Path]:
    """Return the folder of options that --config-dir names on the command line, if any."""
    typed = get_args_parser().parse_known_args()[0].config_dir
    return [Path(typed)] if typed else []


def run() -> None:
    """Let Hydra parse the command line, compose the config and run its job or its sweep."""
    ignore_schema_warning()
    decorate = hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="config")
    decorate(execution.run_job)()


def refuse_outdated_words(words: Sequence[str]) -> None:
    """Exit with 2 where a word has another meaning than in earlier versions, and print what to type instead."""
    answer = outdated_words.answer(words, conf_folder())
    if answer is not None:
        refuse(answer)


def refuse(message: str) -> None:
    """Print the message to stderr and exit with 2, since Hydra swallows what its callbacks raise."""
    print(message, file=sys.stderr)
    sys.exit(2)


def asked(what: str, *, _root_: DictConfig) -> int | None:
    """Return the `gpus`, `cpus` or `memory_gb` that SLURM is asked for: all, or the share that the task can use."""
    whole: int | None = _root_.hardware[what]
    gpus, used = _root_.hardware.gpus, _root_.task.devices
    if whole is None or not gpus or not used or used >= gpus:
        return whole
    return max(1, int(whole * used // gpus))


def _settings_help(cfg: DictConfig, schemas: Mapping[str, Mapping[str, type[Any]]]) -> str:
    """Return a line for each setting of this composition, and for those of other data sources and losses."""
    config: Any = OmegaConf.to_object(without_hydra(cfg))
    lines = listed(config)
    for option, base, words in (
        ("data", Data, "data sources of the kind {} also have"),
        ("loss", Loss, "the loss {} also has"),
    ):
        shared = [field.name for field in dataclasses.fields(base)]
        for name, schema in schemas[option].items():
            if schema is not type(getattr(config, option)):
                further = listed(schema(), f"{option}.", leave_out=shared)
                lines += [f"  ({words.format(name)})", *further] if further else []
    return "\n".join(lines)
