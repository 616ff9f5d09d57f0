"""Environments for packages that the tests' own cannot hold, made when first asked for (about a minute) and kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

PACKAGES = {
    # its release writes and reads with numpy before 2 alone
    "pysaliency": ("pysaliency==0.2.22", "numpy<2", "h5py", "scipy", "setuptools<81"),
    "optuna": ("optuna>=4.0",),
    # Python 3.11 and newer alone
    "matio": ("mat-io>=1.0",),
}


def python_with(name: str) -> Path:
    """The Python of an environment of PACKAGES; all else in it, PyTorch among it, is what these tests run with."""
    place = ROOT / f".venv-{name}"
    python, ready = place / "bin/python", place / ".ready"
    packages = "\n".join(PACKAGES[name])
    if not ready.is_file() or ready.read_text() != packages:
        subprocess.run((sys.executable, "-m", "venv", "--clear", str(place)), check=True)
        subprocess.run((str(python), "-m", "pip", "install", "-q", *PACKAGES[name]), check=True)
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        (place / f"lib/{version}/site-packages/beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
        ready.write_text(packages)
    return python


def by_pysaliency(script: str, content: Any, folder: Path) -> Any:
    """What a script in tests/pysaliency writes to out.json in `folder`, where it finds `content` in in.json."""
    (folder / "in.json").write_text(json.dumps(content))
    done = subprocess.run(
        (str(python_with("pysaliency")), str(ROOT / "tests/pysaliency" / script)),
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "out.json").read_text())
