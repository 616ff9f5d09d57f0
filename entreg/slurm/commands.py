"""Run a command of SLURM, which may be absent, busy or cut off from its controller."""

from __future__ import annotations

import subprocess

from entreg.errors import UserError, brief

PATIENCE_S = 25.0  # squeue gives up after 10 s where the controller hangs, scontrol after 20 s


class NoAnswer(UserError):
    """SLURM did not answer: nothing is known of the jobs, which is not the same as knowing that there are none."""


def answer_of(*words: str) -> str:
    """Return what a command of SLURM prints. Raises NoAnswer where it fails, takes too long or is not there."""
    try:
        done = subprocess.run(words, check=False, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"SLURM does not answer ({words[0]} took longer than {PATIENCE_S:.0f} s)") from None
    except OSError as error:
        raise NoAnswer(f"SLURM does not answer ({words[0]}: {error.strerror})") from None
    if done.returncode:
        raise NoAnswer(f"SLURM does not answer ({words[0]}: {brief(done.stderr.strip() or done.returncode)})")
    return done.stdout
