"""Runs of train.py as forks of one process that has imported everything, so that hundreds of them take minutes.

    with Warm(folder, "loss=nll", "study=mine") as warm:
        run = warm.start(output)     a fork that does the job, in a process group of its own
        run.kill()
        run.end()                    its exit code; -9 after a kill

The process is train.py itself, which stops where its config is composed and the job would begin, and forks there. Only
what takes time without meaning is left out: the random backbone is drawn once for all, and a folder that a killed
process has left is taken over without waiting for a third one.
"""

from __future__ import annotations

import json
import os
import runpy
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).parents[1]
PATIENCE_S = 180.0


class Run:
    """A started run; its output, stdout and stderr together, is in a file."""

    def __init__(self, warm: Warm, process: int, output: Path) -> None:
        self._warm, self.process, self._output, self._code = warm, process, output, None

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def kill(self) -> None:
        """SIGKILL to the whole group; harmless where it has ended."""
        with suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)

    def has_ended(self, within_s: float = 0) -> bool:
        """Whether it has ended, looked at for so long."""
        return self._code is not None or self._warm.speaks(within_s)

    def end(self) -> int:
        """Its exit code; negative: the signal that ended it."""
        if self._code is None:
            if not self._warm.speaks(PATIENCE_S):
                self.kill()
                self._warm.answer()
                raise AssertionError(f"not ended within {PATIENCE_S:.0f} s:\n{self.output}")
            self._code = self._warm.answer()
        return self._code


class Warm:
    """The process that forks, one run at a time."""

    def __init__(self, folder: Path, *words: str) -> None:
        """train.py with these words, in `folder`, which may be removed and made again between runs."""
        self._process = subprocess.Popen(
            (sys.executable, "-m", "tests.warm", *words),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )
        assert self.speaks(PATIENCE_S) and self.answer() == 0

    def __enter__(self) -> Warm:
        return self

    def __exit__(self, *_: Any) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE_S)
        self._process.stdout.close()

    def start(self, output: Path, fault: dict[str, Any] | None = None) -> Run:
        """Begins the job; fault: see `tests.faults.inject`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"output": str(output), "fault": fault}) + "\n")
        return Run(self, self.answer(), output)

    def speaks(self, within_s: float) -> bool:
        """Whether it says something within so long."""
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], within_s)[0])

    def answer(self) -> int:
        """The next number that it says."""
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


def _main() -> None:
    _warm_up()
    from entreg.cli import execution

    job, place, say = execution.run_job, Path.cwd(), os.fdopen(os.dup(1), "w")
    execution.run_job = lambda cfg: _serve(cfg, job, place, say)
    sys.argv[0], code = str(ROOT / "train.py"), 0
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    # tearing the libraries down takes longer than a run
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _warm_up() -> None:
    import matplotlib.backends.backend_agg  # noqa: F401
    import torch

    import entreg.tasks.evaluate  # noqa: F401
    import entreg.tasks.train  # noqa: F401
    from entreg.config import Backbone, Model, Paths
    from entreg.features.backbone import build
    from entreg.io import leases
    from entreg.study import study
    from tests import faults  # noqa: F401

    torch.set_num_threads(1)
    leases.SETTLE_S = 0.02
    backbone = build(Backbone(), Model().downsample, Paths().weights)
    backbone.lay_out(winograd=True)
    known = backbone.fingerprint()
    backbone.fingerprint = lambda: known
    study.build = lambda *_: backbone


def _serve(cfg: Any, job: Callable[[Any], Any], place: Path, say: TextIO) -> Any:
    """Forks for each line that is read, and says its process and how it ended; in a fork it does the job."""
    print(0, file=say, flush=True)
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            return _begin(json.loads(line), place, lambda: job(cfg))
        with suppress(PermissionError, ProcessLookupError):
            os.setpgid(process, process)  # on both sides: whoever comes first
        print(process, file=say, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), file=say, flush=True)
    os._exit(0)


def _begin(request: dict[str, Any], place: Path, job: Callable[[], Any]) -> Any:
    from tests import faults

    os.setpgid(0, 0)
    os.chdir(place)
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if request["fault"] is not None:
        faults.inject(**request["fault"])
    return job()


if __name__ == "__main__":
    _main()
