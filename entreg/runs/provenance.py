"""The provenance of a result: code, versions and machine."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy
import torch

from entreg.distributed.hardware import processor_name
from entreg.version import VERSION


def provenance(kind: str, seeds: dict[str, int], **inputs: Any) -> dict[str, Any]:
    """Return code, versions, machine and seeds; inputs: fingerprints and whatever else the run depends on."""
    status = _git("status", "--porcelain")
    return {
        "version": VERSION,
        "git_commit": _git("rev-parse", "HEAD"),
        "git_clean": None if status is None else status == "",
        "code": code_version(),
        "command": " ".join(sys.argv),
        "python": platform.python_version(),
        "packages": _package_versions(),
        "cuda": torch.version.cuda if kind == "cuda" else None,
        "driver": _driver() if kind == "cuda" else None,
        "processor": processor_name(kind),
        "host": platform.node(),
        "seeds": seeds,
    } | inputs


def code_version() -> str:
    """Return the commit of the code, and a digest of the changes to it."""
    code = ":/entreg", ":/conf", ":/train.py"
    changes = _git("diff", "HEAD", "--", *code)
    new = _git("ls-files", "--others", "--exclude-standard", "--full-name", *code)
    root = _git("rev-parse", "--show-toplevel")
    if changes is None or root is None:
        return "unknown (no git)"
    for name in (new or "").splitlines():
        changes += f"\n{name}\n{(Path(root) / name).read_text(encoding='utf-8', errors='replace')}"
    digest = f" with changes {hashlib.sha256(changes.encode()).hexdigest()[:8]}" if changes else ""
    return f"commit {_git('rev-parse', 'HEAD')}{digest}"


def _package_versions() -> dict[str, str]:
    """Return the versions of the packages that results depend on; torchvision and scipy take seconds to import."""
    loaded = {package.__name__: str(package.__version__) for package in (torch, numpy, cv2)}
    return loaded | {name: metadata.version(name) for name in ("torchvision", "scipy")}


def _git(*arguments: str) -> str | None:
    command = ("git", "-C", str(Path(__file__).parent), *arguments)
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _driver() -> str | None:
    try:
        query = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0")
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
