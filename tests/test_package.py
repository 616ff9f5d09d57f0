"""What importing entreg does: how long waiting threads spin is said before PyTorch is loaded."""
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize("given, spins", [
    ({}, "20000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "PASSIVE"}, None),
], ids=str)
def test_waiting_threads_spin_shortly_unless_the_user_has_said_how(given, spins):
    code = (
        "import os, sys, hydra, omegaconf; assert 'torch' not in sys.modules\n"  # what train.py imports before
        "import entreg; assert 'torch' not in sys.modules; print(os.environ.get('GOMP_SPINCOUNT'))"
    )
    own = {key: value for key, value in os.environ.items() if not key.startswith(("GOMP_", "OMP_"))}
    done = subprocess.run(
        (sys.executable, "-c", code), cwd=ROOT, env=own | {"PYTHONPATH": str(ROOT)} | given, capture_output=True,
        text=True, check=True,
    )
    assert done.stdout == f"{spins}\n"
