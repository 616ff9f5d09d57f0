"""A run folder: everything that a person later needs to trust or repeat a number. Only the first rank writes."""
from __future__ import annotations

import dataclasses
import hashlib
import logging
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy
import scipy
import torch
import torchvision
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from entreg import files
from entreg.config import Config
from entreg.engine.hardware import processor_name

LOG_FORMAT = "[%(asctime)s] %(message)s"


def log_to(folder: Path) -> None:
    """Sends the log to stdout and to train.log in the run folder, as Hydra does for a process of its own."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout), logging.FileHandler(folder / "train.log")]
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT, handlers=handlers, force=True)


def write_config(folder: Path, config: Config) -> None:
    """.hydra/config.yaml: resolved, so that it means the same tomorrow; beside it what was typed and Hydra's own part."""
    (folder / ".hydra").mkdir(parents=True, exist_ok=True)
    files.write_text(folder / ".hydra/config.yaml", OmegaConf.to_yaml(OmegaConf.structured(config)))
    if HydraConfig.initialized():
        hydra = HydraConfig.get()
        files.write_text(folder / ".hydra/overrides.yaml", OmegaConf.to_yaml(hydra.overrides.task))
        files.write_text(folder / ".hydra/hydra.yaml", OmegaConf.to_yaml(OmegaConf.create({"hydra": hydra})))


def read_config(folder: Path) -> dict[str, Any]:
    """The run's saved config as plain containers."""
    return OmegaConf.to_container(OmegaConf.load(folder / ".hydra/config.yaml"))


def differing_keys(saved: dict[str, Any], config: dict[str, Any], prefix: str = "") -> list[str]:
    """Full keys whose values differ between two plain configs."""
    keys = []
    for key in sorted(saved.keys() | config.keys()):
        a, b = saved.get(key), config.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            keys += differing_keys(a, b, f"{prefix}{key}.")
        elif a != b:
            keys.append(prefix + key)
    return keys


def provenance(kind: str, seeds: dict[str, int], **made_from: dict[str, Any]) -> dict[str, Any]:
    """Code, versions, machine and seeds; made_from: fingerprints and whatever else a run depends on."""
    here = Path(__file__).parent
    status = _git(here, "status", "--porcelain")
    return {
        "git_commit": _git(here, "rev-parse", "HEAD"),
        "git_clean": None if status is None else status == "",
        "command": " ".join(sys.argv),
        "python": platform.python_version(),
        "packages": {m.__name__: m.__version__ for m in (torch, torchvision, numpy, scipy, cv2)},
        "cuda": torch.version.cuda if kind == "cuda" else None,
        "driver": _driver() if kind == "cuda" else None,
        "processor": processor_name(kind),
        "host": platform.node(),
        "seeds": seeds,
    } | made_from


def code_version() -> str:
    """The commit, and a digest of what differs from it."""
    here = Path(__file__).parent
    changes = _git(here, "diff", "HEAD", "--", ":/entreg", ":/conf", ":/train.py")
    if changes is None:
        return "unknown (no git)"
    digest = f" with changes {hashlib.sha256(changes.encode()).hexdigest()[:8]}" if changes else ""
    return f"commit {_git(here, 'rev-parse', 'HEAD')}{digest}"


def plain(config: Config) -> dict[str, Any]:
    """The config as plain containers, for checkpoints."""
    return dataclasses.asdict(config)


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        return subprocess.run(
            ("git", "-C", str(folder), *arguments), capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _driver() -> str | None:
    try:
        query = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0")
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
