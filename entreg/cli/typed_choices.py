"""Refuse to start a training on real data before its weights and its foreign sets have been chosen.

The embedded study has defaults for both: random weights, and synthetic foreign images. With real data they would be an
accident that nobody notices for hours. A choice is said by a typed word or by an experiment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from entreg.config import Config
from entreg.errors import SettingError
from entreg.study.finished_run import typed_keys

DEFAULT_OOD = "default"  # the option of `ood` in conf/config.yaml, which stays where no other is chosen
RESOLVER = "unsaid"  # conf/config.yaml gives the weights as ${unsaid:}, which stays where no others are chosen
ASKED = {
    "weights": (
        "  weights        model.backbone.weights=IMAGENET1K_V1, or a file; for random ones: model.backbone.weights=null"
    ),
    "foreign sets": "  foreign sets   ood=[NAME,...]; for none: ood=[]",
}


def refuse_unsaid(cfg: DictConfig, config: Config, choices: Mapping[str, Any]) -> None:
    """Raise a SettingError where the job trains on real data without chosen weights or foreign sets.

    cfg: the composed config, not yet resolved; config: the same, resolved; choices: Hydra's, by group
    """
    trained_on = list((config.sets or {config.data.name: config.data}).values())
    if config.task.name != "train" or all(settings.embedded for settings in trained_on):
        return
    is_said = {
        "weights": not OmegaConf.is_interpolation(cfg.model.backbone, "weights"),
        "foreign sets": choices.get("ood") != DEFAULT_OOD,
    }
    missing = [what for what, said in is_said.items() if not said]
    if missing:
        raise SettingError(
            "\n".join(
                [
                    f"A training on {', '.join(of_set.name for of_set in trained_on)} needs its "
                    f"{' and '.join(missing)} to be chosen, by typing them or by an experiment:",
                    *(ASKED[what] for what in missing),
                ]
            )
        )


def refuse_other_names(cfg: DictConfig, config: Config, typed: Sequence[str]) -> None:
    """Raise a SettingError where a name was typed for a set that goes by the one under which it stands."""
    for key in typed_keys(typed):
        group, _, rest = key.partition(".")
        name = rest.removesuffix(".name")
        sets = {"ood": config.ood, "sets": config.sets}.get(group, {})
        if rest != name and name in sets and cfg[group][name].name != sets[name].name:
            raise SettingError(
                f"{key}={cfg[group][name].name}: a set goes by the name under which it stands; type "
                f"+data@{group}.{cfg[group][name].name}=OPTION to have it under that one"
            )


def refuse_settings_of_data(config: Config, typed: Sequence[str]) -> None:
    """Raise a SettingError where a setting of `data` was typed, which has none of its own beside `sets`."""
    for key in typed_keys(typed):
        if key.startswith("data."):
            raise SettingError(
                f"{key} was typed, but the model learns from sets=[{','.join(config.sets)}]; type "
                f"sets.{config.data.name}.{key.removeprefix('data.')}=VALUE, for each set that is meant"
            )
