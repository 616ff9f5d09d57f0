"""What is handed to sbatch for the jobs of a sweep, and what it accepts or refuses."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from submitit import Job, SlurmExecutor
from submitit.core.utils import FailedJobError, FailedSubmissionError

from entreg.errors import UserError, brief
from entreg.slurm import queue, refusals
from entreg.slurm.commands import NoAnswer, answer_of

# SLURM signals a job as soon as its limit is near, and Python dies of USR2 until submitit has imported everything and
# set its handler. So the job's Python is started with the signal blocked, by another that imports nothing (-IS), and
# the launcher unblocks it. `env --block-signal` would do, but is too new for RHEL 8. The shell ignores the signal for
# the hundredth of a second that even this Python takes to start.
IGNORING = """trap '' USR2; exec "$@\""""
BLOCKING = (
    "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2]); "
    "signal.signal(signal.SIGUSR2, signal.SIG_DFL); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
NOT_SBATCH = ("_target_", "submitit_folder", "max_num_timeout", "runs_per_job")  # settings of the launcher's own
MOST_NAME = 64  # characters of a job's name


def job_name(study: str) -> str:
    """Return the name of a study's jobs, of letters, digits and `._-`, which no command of SLURM cuts apart."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in f"entreg-{study}")[:MOST_NAME]


def python() -> str:
    """Return the shell's words for a Python that starts with USR2 blocked and then becomes the job's Python."""
    return shlex.join(["sh", "-c", IGNORING, "sh", sys.executable, "-ISc", BLOCKING])


def plain_params(launcher: DictConfig) -> dict[str, Any]:
    """Return the settings of a launcher, `hydra.launcher`, as plain values without interpolations."""
    container = OmegaConf.to_container(launcher, resolve=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def executor_of(params: Mapping[str, Any], mark: str | None = None) -> SlurmExecutor:
    """Return submitit's executor for the settings of a launcher.

    params: `hydra.launcher`; mark: the jobs' comment, unless one was typed
    """
    given = {key: value for key, value in params.items() if key not in NOT_SBATCH}
    given["job_name"] = given.pop("name")
    given["time"] = given.pop("timeout_min")
    given["ntasks_per_node"] = given.pop("tasks_per_node")
    memory_gb = given.pop("mem_gb")
    given["mem"] = None if memory_gb is None else f"{memory_gb}GB"
    given["comment"] = given.get("comment") or mark
    given["wckey"] = None  # submitit's own would be refused where wckeys are checked
    # since SLURM 22.05 srun does not inherit sbatch's --cpus-per-task
    given["srun_args"] = [f"--cpus-per-task={params['cpus_per_task']}"] if params.get("cpus_per_task") else None
    executor = SlurmExecutor(params["submitit_folder"], params["max_num_timeout"], python=python())
    executor.update_parameters(**given)
    return executor


def script(params: Mapping[str, Any], tasks: int) -> str:
    """Return the script that sbatch would get for an array of so many tasks, or for a single one."""
    executor = executor_of(params)
    if tasks > 1:
        executor.parameters["map_count"] = tasks
    return str(executor._make_submission_file_text(executor._submitit_command_str, ""))


def submit(
    params: Mapping[str, Any], function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], mark: str
) -> list[Job[Any]]:
    """Submit function(*arguments) for each tuple of arguments as one array, and return its jobs.

    Raises a UserError with what sbatch said and the way out where it refuses. What it has accepted without saying so is
    cancelled, so that nothing is submitted twice.
    """
    executor = executor_of(params, mark)
    said = io.StringIO()
    try:
        with (
            _outside_an_allocation(),
            contextlib.redirect_stderr(said),
        ):  # submitit prints what sbatch said, and raises it as well
            jobs: list[Job[Any]] = executor.map_array(function, *zip(*arguments, strict=True))
    except (FailedJobError, FailedSubmissionError) as error:
        text = str(error)
        if refusals.may_have_submitted(text):
            raise UserError(
                f"SLURM did not say whether it took the jobs: {brief(text)}.\n  {_taken_back(mark)}"
            ) from None
        raise UserError(refusals.explained(text)) from None
    return jobs


def new_mark() -> str:
    """Return a new mark, by which jobs are found where sbatch did not say their ids."""
    return f"entreg:{uuid.uuid4().hex}"


def chunks(count: int, most: int | None) -> list[range]:
    """Return the numbers of `count` jobs in chunks that are each one array of at most `most` tasks."""
    size = most or max(count, 1)
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


@contextlib.contextmanager
def _outside_an_allocation() -> Iterator[None]:
    """Hide the variables of the allocation that this process may run in, since the jobs would inherit them."""
    hidden = {
        name: os.environ.pop(name) for name in {*os.environ} if name.startswith("SLURM_") and name != "SLURM_CONF"
    }
    try:
        yield
    finally:
        os.environ.update(hidden)


def _taken_back(mark: str) -> str:
    """Cancel the jobs that bear the mark, and say what is known of them."""
    try:
        found = queue.marked(mark)
        if found:
            answer_of("scancel", *found)
    except NoAnswer:
        return f"look for jobs with the comment {mark} before you submit again: squeue --me -o '%i %k'"
    return f"{'Its jobs were cancelled' if found else 'None are in the queue'}; give the same command again"
