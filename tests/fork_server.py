"""Runs of train.py as forks of a process that has imported everything, since the imports take longer than most runs.

    with ForkServer(LIBRARIES + ENTREG) as server:
        done = server.run(["loss=nll"], folder, timeout_s=60)

A fork has its own folder, output and memory, and starts with nothing but imported modules: it does what a process of
its own would do. A server that has imported the libraries alone also runs copies of the project. What depends on how
Python itself starts needs a process of its own.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parents[1]
START_S = 120.0
LIBRARIES = (
    "cv2",
    "h5py",
    "hydra.main",
    "jinja2",
    "matplotlib.backends.backend_agg",
    "requests",
    "scipy.io",
    "scipy.stats",
    "submitit",
    "torchvision",
)
ENTREG = ("entreg.cli.preflight", "entreg.tasks.evaluate", "entreg.tasks.predict", "entreg.tasks.prepare")


class ForkServer:
    """The process that forks, one run at a time. modules: what it imports first."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._server = subprocess.Popen(
            (sys.executable, "-m", "tests.fork_server", *modules),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )
        assert self._answers(START_S), "the fork server does not start"
        self._answer()

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(START_S)
        self._server.stdout.close()

    def run(
        self, words: Sequence[str], folder: Path, timeout_s: float, path: Sequence[Path] = (ROOT,)
    ) -> subprocess.CompletedProcess[str]:
        """Run train.py with these words in `folder`; subprocess.TimeoutExpired, and its end, where it takes longer.

        path: where entreg and other modules are imported from; train.py lies in the last of these folders
        """
        typed = [str(path[-1] / "train.py"), *words]
        assert self._server.stdin is not None
        with tempfile.TemporaryDirectory() as place:
            output = {name: str(Path(place, name)) for name in ("stdout", "stderr")}
            request = {"words": typed, "path": list(map(str, path)), "folder": str(folder), **output}
            self._server.stdin.write(json.dumps(request) + "\n")
            process = self._answer()
            late = not self._answers(timeout_s)
            if late:
                with suppress(ProcessLookupError):
                    os.killpg(process, signal.SIGKILL)
            code = self._answer()
            stdout, stderr = (Path(path).read_text(errors="replace") for path in output.values())
        if late:
            raise subprocess.TimeoutExpired(typed, timeout_s, stdout, stderr)
        return subprocess.CompletedProcess(typed, code, stdout, stderr)

    def _answers(self, within_s: float) -> bool:
        assert self._server.stdout is not None
        return bool(select.select([self._server.stdout], [], [], within_s)[0])

    def _answer(self) -> int:
        assert self._server.stdout is not None
        return int(self._server.stdout.readline())


def _serve() -> None:
    """Fork for each line that is read; answer with the process, and with its exit code when it has ended."""
    for module in sys.argv[1:]:
        importlib.import_module(module)
    answers = os.fdopen(os.dup(1), "w")
    print(0, file=answers, flush=True)
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            os._exit(_run(**json.loads(line)))
        with suppress(PermissionError, ProcessLookupError):
            os.setpgid(process, process)  # on both sides: whoever comes first
        print(process, file=answers, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), file=answers, flush=True)


def _run(words: list[str], path: list[str], folder: str, stdout: str, stderr: str) -> int:
    """Become the process that a shell would have started; return its exit code."""
    os.setpgid(0, 0)
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream, output in ((1, stdout), (2, stderr)):
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), stream)
    sys.argv, code = words, 0
    sys.path[:1] = path
    os.environ["PYTHONPATH"] = os.pathsep.join(path)
    with suppress(ImportError):  # as Python itself does when it starts
        importlib.import_module("sitecustomize")
    try:
        runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    _serve()
