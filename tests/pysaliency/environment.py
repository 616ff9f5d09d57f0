"""An environment in which pysaliency 0.2.22 can live, and entreg beside it; made in about a minute and kept."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

PLACE = ROOT / ".venv-pysaliency"


def run(script: str, content: Any, folder: Path) -> Any:
    """What a script of this folder writes to out.json in `folder`, where it finds `content` in in.json."""
    python = _made()
    (folder / "in.json").write_text(json.dumps(content))
    done = subprocess.run(
        (str(python), str(Path(__file__).with_name(script))), cwd=folder, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "out.json").read_text())


def _made() -> Path:
    python, ready = PLACE / "bin/python", PLACE / ".ready"
    if not ready.is_file():
        subprocess.run((sys.executable, "-m", "venv", "--clear", str(PLACE)), check=True)
        # its release writes and reads with numpy before 2 alone
        packages = "pysaliency==0.2.22", "numpy<2", "h5py", "scipy", "setuptools<81"
        subprocess.run((str(python), "-m", "pip", "install", "-q", *packages), check=True)
        # all else, PyTorch among it, is what these tests run with
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        (PLACE / f"lib/{version}/site-packages/beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
        ready.touch()
    return python
