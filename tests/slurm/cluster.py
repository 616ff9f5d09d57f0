"""A private SLURM of one node with 16 CPUs and 4 pretend GPUs, whatever the machine has.

It is started in seconds and needs root.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "scancel")


def missing() -> str | None:
    """Why no SLURM can be started here."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"no {', '.join(absent)} (Debian: apt-get install slurmctld slurmd slurm-client munge)"
    return None if os.geteuid() == 0 else "starting a SLURM needs root"


@contextmanager
def cluster() -> Iterator[dict[str, str]]:
    """The environment variables with which this cluster is used; it is stopped at the end."""
    # not under pytest's folders: a socket's path must be short
    lab = Path(tempfile.mkdtemp(prefix="slurm-"))
    environment = os.environ | {"SLURM_CONF": str(lab / "slurm.conf")}
    try:
        _configure(lab)
        munge = lab / "munge"
        _run(
            (
                "munged",
                "--force",
                f"--key-file={munge}/key",
                f"--socket={munge}/socket",
                f"--pid-file={lab}/munged.pid",
                f"--log-file={munge}/log",
                f"--seed-file={munge}/seed",
            ),
            environment,
        )
        _run(("slurmctld",), environment)
        _run(("slurmd",), environment)
        ready = ("srun", "--immediate=20", "--gres=gpu:4", "printenv", "CUDA_VISIBLE_DEVICES")
        wait_for(lambda: _output(ready, environment) == "0,1,2,3", 60, "SLURM runs a job", lab / "slurmctld.log")
        yield environment
    finally:
        _output(("scancel", "--signal=KILL", "--user=root"), environment)
        _output(("scancel", "--user=root"), environment)
        for daemon in ("slurmd", "slurmctld", "munged"):
            _stop(lab / f"{daemon}.pid")
        shutil.rmtree(lab, ignore_errors=True)


def kill_controller(environment: dict[str, str]) -> None:
    """End the controller by kill -9: commands get no answer until `start_controller`."""
    os.kill(int((_lab(environment) / "slurmctld.pid").read_text()), signal.SIGKILL)


def start_controller(environment: dict[str, str]) -> None:
    """Start the controller again, with the jobs that it knew, and wait until it answers."""
    _run(("slurmctld",), environment)
    wait_for(lambda: "is UP" in _output(("scontrol", "ping"), environment), 60, "the controller answers")


@contextmanager
def large_arrays(environment: dict[str, str]) -> Iterator[None]:
    """Let the cluster accept arrays of a thousand tasks for the `with` block."""
    conf = _lab(environment) / "slurm.conf"
    small = conf.read_text()

    def restart(text: str) -> None:
        conf.write_text(text)
        _stop(_lab(environment) / "slurmctld.pid")
        start_controller(environment)

    restart(small.replace("MaxArraySize=4", "MaxArraySize=1001"))
    try:
        yield
    finally:
        restart(small)


def wait_for(holds: Callable[[], object], seconds: float, what: str, log: Path | None = None) -> object:
    """Asks until the answer is true, and returns it; AssertionError with the log's end after so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = holds()
        if answer:
            return answer
        time.sleep(0.1)
    tail = "\n".join(log.read_text().splitlines()[-30:]) if log and log.is_file() else ""
    raise AssertionError(f"waited {seconds} s in vain until {what}\n{tail}")


def _lab(environment: dict[str, str]) -> Path:
    return Path(environment["SLURM_CONF"]).parent


def _configure(lab: Path) -> None:
    for name in ("munge", "state", "spool", "dev"):
        (lab / name).mkdir(mode=0o700)
    (lab / "munge/key").write_bytes(os.urandom(1024))
    (lab / "munge/key").chmod(0o400)
    for number in range(4):  # slurmd wants device nodes: copies of /dev/null
        os.mknod(lab / f"dev/nvidia{number}", 0o20666, os.makedev(1, 3))
    host = socket.gethostname().split(".")[0]
    conf = (HERE / "slurm.conf.in").read_text().replace("@LAB@", str(lab)).replace("@HOST@", host)
    (lab / "slurm.conf").write_text(conf)
    (lab / "gres.conf").write_text(f"NodeName={host} Name=gpu File={lab}/dev/nvidia[0-3]\n")


def _run(command: tuple[str, ...], environment: dict[str, str]) -> None:
    # daemons inherit the output: with a pipe one would wait for its end for ever
    subprocess.run(command, env=environment, check=True, timeout=30, stdout=subprocess.DEVNULL)


def _output(command: tuple[str, ...], environment: dict[str, str]) -> str:
    try:
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _stop(pid_file: Path) -> None:
    try:
        pid = int(pid_file.read_text())
        os.kill(pid, signal.SIGTERM)
        for _ in range(50):
            time.sleep(0.1)
            os.kill(pid, 0)
        os.kill(pid, signal.SIGKILL)
    except (OSError, ValueError):  # never started, or gone
        pass
