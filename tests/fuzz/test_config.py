"""Words of a command line, composed as Hydra does it: refused by their key, or a config that everything can use."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hydra.errors import HydraException
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from entreg.cli import outdated_words
from entreg.cli.execution import checked
from entreg.config import Config, Prior
from entreg.config.settings import Setting, differing, settings_of
from entreg.data.geometry import Geometry
from entreg.data.sources import synthetic
from entreg.data.splits import chosen, folds, split
from entreg.data.uniform_images import levels
from entreg.distributed.precision import backbone_precision_of, convolution_of, precision_of
from entreg.errors import SettingError
from entreg.model.deepgaze3 import DeepGaze3
from entreg.priors.gaussian import gaussian_log_prior
from entreg.priors.kde import FixationKde
from entreg.training.batches import shuffled
from entreg.training.optimizer import optimizer_of
from entreg.training.schedule import schedule_of
from tests.conftest import ROOT
from tests.fuzz.driver import outcome, tried

Drive = Callable[..., None]
OWN = {one.key: one for one in settings_of(Config(data=synthetic.Settings()))}
FOREIGN = {key.replace("data.", "ood.synthetic_ood."): one for key, one in OWN.items() if key.startswith("data.")}
SETTINGS = OWN | FOREIGN
GROUPS = {
    group: sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml"))
    for group in ("data", "loss", "model", "optim", "hardware", "task", "experiment")
}
ANY = st.one_of(
    st.sampled_from(
        [
            "null",
            "true",
            "",
            "nan",
            "3.5",
            "inf",
            "-inf",
            "1e308",
            "1e-308",
            "-1",
            "0",
            "1",
            "2",
            "3",
            "1e400",
            "0.5",
            "4294967295",
            "4294967296",
            "[]",
            "[1]",
            "[0.5,nan]",
            "[inf]",
            "{}",
            "{a:1}",
            "[[1]]",
            "???",
            "x",
            "../x",
            "/",
            "os.system",
            "'a b'",
            "${seed}",
            "${nothing}",
            "${data}",
            "${oc.env:NOTHING}",
            "kde",
            "cuda",
            "cpu",
            "a,b",
            "range(1,5)",
            "'",
            '"',
            "[",
            "\\",
            "$",
            "=",
            "é",
            "\u202e",
            "a\nb",
            "\ud7ff",
            "1_0",
            "0x10",
            "all",
            "ig",
        ]
    ),
    st.text(max_size=8),
    st.sampled_from(sorted(GROUPS)),
)
WHOLE = st.one_of(
    st.integers(-3, 50), st.integers(-(10**12), 10**12), st.sampled_from([2**32 - 1, 2**32, 2**63, 10**30])
).map(str)
BROKEN = st.one_of(
    st.floats(0, 1), st.floats(0, 100), st.floats(), st.sampled_from([0.0, 1e-320, 1e-30, 1e30, 1e308, math.inf])
).map(repr)


def values_of(setting: Setting) -> st.SearchStrategy[str]:
    """Values of the setting's type, right ones and such as are out of its range."""
    if isinstance(setting.value, bool):
        return st.sampled_from(("true", "false"))
    if "one_of" in setting.declared:
        return st.sampled_from(setting.declared["one_of"])
    if isinstance(setting.value, int):
        return WHOLE
    if isinstance(setting.value, float):
        return BROKEN
    if isinstance(setting.value, list):
        return st.lists(BROKEN, max_size=3).map(lambda items: f"[{','.join(items)}]")
    return st.one_of(WHOLE, ANY) if setting.value is None else ANY


@st.composite
def typed(draw: st.DrawFn) -> list[str]:
    """One to four words, most of them of a form that can be right."""
    words = []
    for _ in range(draw(st.sampled_from((1, 1, 2, 4)))):
        kind = draw(st.sampled_from(("right",) * 9 + ("setting", "group", "foreign", "delete", "add", "anything")))
        key = draw(st.sampled_from(sorted(SETTINGS)))
        if kind == "right":
            words.append(f"{key}={draw(values_of(SETTINGS[key]))}")
        elif kind == "setting":
            words.append(f"{key}={draw(ANY)}")
        elif kind == "group":
            group = draw(st.sampled_from(sorted(GROUPS)))
            words.append(f"{group}={draw(st.one_of(st.sampled_from(GROUPS[group]), ANY))}")
        elif kind == "foreign":
            words.append(f"ood=[{','.join(draw(st.lists(st.sampled_from(GROUPS['data']), max_size=3)))}]")
        elif kind == "delete":
            words.append(f"~{draw(st.sampled_from((key, key.split('.')[0])))}")
        elif kind == "add":
            words.append(f"+{key}{draw(st.sampled_from(('', '.more', 'x')))}={draw(ANY)}")
        else:
            words.append(draw(st.text(max_size=12)))
    return words


def used(config: Config) -> list[Any]:
    """What a study computes of its settings alone, at small sizes; as a study it may refuse with a SettingError."""
    found: list[Any] = [one.value for one in settings_of(config)]
    for settings in (config.data, *config.ood.values()):
        items = chosen(100, settings)
        parts = split(len(items), settings) if settings is config.data else ()
        geometry = Geometry(settings.geometry, settings.long_side_px, settings.short_side_px)
        assert min(geometry.size(3, 2) + geometry.size(2, 3)) >= 1
        found += [items, *parts, *geometry.points(np.array([1.0]), np.array([1.5]), 3, 2)]
    found += [levels(config.uniform), folds(9, 3, config.evaluation.seed), config.loss.weight]
    model = DeepGaze3(4, config.model.sigma_px, config.seed)
    optimizer = optimizer_of(model.parameters(), config.optim)
    scheduler = schedule_of(optimizer, config.optim, config.trainer.epochs)
    for _ in range(3):
        found.append(scheduler.get_last_lr())
        optimizer.step()
        scheduler.step()
    found += [model.state_dict(), model.finalizer.gauss.kernel()]
    found.append(shuffled([(2, 3)] * 5, config.trainer.batch_size, config.seed, 1))
    prior: Prior = config.prior
    found.append(gaussian_log_prior(24, 32, 768, 1024, prior.gaussian_variance, prior.gaussian_nu))
    shares = np.array([0.26, 0.5, 0.77])
    kde = FixationKde(shares, shares, np.arange(3), prior.kde_bandwidth, prior.kde_regularisation)
    found += [kde.log_density(24, 32), *kde.leave_one_out([0, 1], 24, 32)]
    torch.Generator().manual_seed(config.model.backbone.seed)
    precision_of(config.hardware, "cpu")
    precision = backbone_precision_of(config.model.backbone, "cpu")
    convolution_of(config.hardware, "cpu", precision, getattr(torch, config.store.dtype))
    plain = dataclasses.asdict(config)
    assert differing(plain, config) == [] and OmegaConf.create(OmegaConf.to_yaml(OmegaConf.structured(config)))
    return found


@tried(20, 800)
def test_any_words(drive: Drive, composed: Any, count: int) -> None:
    conf = ROOT / "conf"

    def check(words: list[str]) -> str:
        def run() -> list[Any]:
            if instead is not None:
                raise SettingError(instead)
            return used(checked(cfg))

        instead = outdated_words.answer(words, conf)
        try:
            cfg = None if instead else composed(*words)
        except (HydraException, OmegaConfBaseException, ValueError, TypeError):  # it stumbles over experiment=[1]
            return "refused by Hydra"
        parts = {part for word in words for part in (word, *word.lstrip("+~").split("=", 1)[0].split("."))} - {""}
        return outcome(run, *parts)

    drive(count, typed(), check)
