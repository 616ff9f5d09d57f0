"""What sbatch is given, in the script that submitit writes, and what becomes of its refusals."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from entreg.cli.submission import chunks, job_name, python, script, submit
from entreg.errors import UserError
from entreg.slurm import limits

PARAMS = {
    "name": "entreg-s",
    "timeout_min": 240,
    "tasks_per_node": 1,
    "mem_gb": 2,
    "cpus_per_task": 4,
    "gpus_per_node": None,
    "nodes": 1,
    "partition": None,
    "signal_delay_s": 120,
    "max_num_timeout": 20,
    "additional_parameters": {"requeue": True},
    "comment": None,
}


@pytest.fixture
def params(tmp_path, commands):
    commands.say("srun")
    return PARAMS | {"submitit_folder": str(tmp_path / "jobs")}


def asked(text: str) -> dict[str, str | None]:
    return {name: value for name, _, value in re.findall(r"^#SBATCH --([\w-]+)(=(.*))?$", text, re.MULTILINE)}


def test_what_is_null_is_not_asked_for(params):
    words = asked(script(params, 3))
    assert words["array"] == "0-2%3" and words["mem"] == "2GB" and words["time"] == "240"
    assert words["job-name"] == "entreg-s" and words["open-mode"] == "append" and "requeue" in words
    assert not {"partition", "gpus-per-node", "wckey", "comment", "account"} & words.keys()
    assert re.search(r"^srun .* --cpus-per-task=4 ", script(params, 1), re.MULTILINE)  # which it would not inherit
    words = asked(script(params | {"mem_gb": None}, 1))
    assert not {"mem", "array"} & words.keys()


def test_what_was_typed_is_asked_for(params):
    words = asked(script(params | {"additional_parameters": {"requeue": True, "wckey": "mine"}, "comment": "hello"}, 1))
    assert words["wckey"] == "mine" and words["comment"] == "hello"


@pytest.mark.parametrize(
    "study, name",
    [
        ("arms", "entreg-arms"),
        ("2026-11-30_00-31-02-123456", "entreg-2026-11-30_00-31-02-123456"),
        ("a,b|c d\n=é", "entreg-a-b-c-d---"),
        ("x" * 100, "entreg-" + "x" * 57),
    ],
)
def test_no_command_of_slurm_cuts_the_name_of_a_job(study, name):
    assert job_name(study) == name


def test_a_signal_waits_until_the_job_is_ready_for_it():
    """The job's Python is the same process, with USR2 blocked; without that it would be killed."""
    code = (
        "import os, signal; os.kill(os.getpid(), signal.SIGUSR2); heard = []; "
        "signal.signal(signal.SIGUSR2, lambda *_: heard.append(1)); print(len(heard)); "
        "from entreg.cli.submitit_job import ready_for_signals; ready_for_signals(); print(len(heard), os.getpid())"
    )
    with subprocess.Popen(["sh", "-c", f'exec {python()} -c "$0"', code], stdout=subprocess.PIPE, text=True) as job:
        output, _ = job.communicate(timeout=120)
    assert output.split() == ["0", "1", str(job.pid)]
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    assert done.returncode == -signal.SIGUSR2


def test_jobs_do_not_inherit_the_allocation_they_are_submitted_from(params, commands, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("SLURM_CONF", "conf")
    commands.say("sbatch", "Submitted batch job 5\n")
    sbatch = commands.folder / "sbatch"
    sbatch.write_text(sbatch.read_text().replace("#!/bin/sh\n", f"#!/bin/sh\nenv > {commands.folder}/env\n"))
    submit(params, len, [([],)], "entreg:1")
    inherited = (commands.folder / "env").read_text()
    assert "SLURM_CONF=conf\n" in inherited and "SLURM_JOB_ID" not in inherited
    assert os.environ["SLURM_JOB_ID"] == "1"  # this process is still in its allocation


def test_a_refusal_is_said_with_the_way_out(params, commands, capfd):
    commands.say("sbatch", "", 1, "sbatch: error: Batch job submission failed: Invalid partition name specified\n")
    with pytest.raises(UserError, match="^SLURM refuses the jobs: .*\n.*hardware.partition=NAME.*$"):
        submit(params, print, [("a",), ("b",)], "entreg:1")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("found, said", [("7 entreg:1\n", "were cancelled"), ("7 other\n", "None are in the queue")])
def test_after_silence_nothing_is_left_in_the_queue(params, commands, found, said):
    commands.say("sbatch", "", 1, "sbatch: error: Batch job submission failed: Socket timed out on send/recv\n")
    commands.say("squeue", found)
    commands.say("scancel")
    with pytest.raises(UserError, match=f"SLURM did not say whether it took the jobs.*\n.*{said}.*same command again"):
        submit(params, print, [("a",)], "entreg:1")
    assert commands.calls("scancel") == (["7"] if "cancelled" in said else [])


def test_where_slurm_stays_silent_the_mark_is_said(params, commands):
    commands.say("sbatch", "", 1, "sbatch: error: Unable to contact slurm controller\n")
    commands.say("squeue", "", 1, "slurm_load_jobs error: Unable to contact slurm controller\n")
    with pytest.raises(UserError, match="look for jobs with the comment entreg:1 before you submit again"):
        submit(params, print, [("a",)], "entreg:1")


def test_what_is_accepted_are_the_tasks_of_one_array(params, commands):
    commands.say("sbatch", "Submitted batch job 7\n")
    jobs = submit(params, print, [("a",), ("b",)], "m")
    assert [job.job_id for job in jobs] == ["7_0", "7_1"]
    (call,) = commands.calls("sbatch")
    assert asked(jobs[0].paths.submission_file.read_text())["comment"] == "m" and call.endswith(".sh")
    assert python() in jobs[0].paths.submission_file.read_text()


def test_arrays_are_cut_at_the_greatest_size():
    assert [list(chunk) for chunk in chunks(5, 2)] == [[0, 1], [2, 3], [4]]
    assert [list(chunk) for chunk in chunks(5, None)] == [[0, 1, 2, 3, 4]]
    assert chunks(0, None) == []


def test_the_greatest_size_is_slurms(commands):
    commands.say("scontrol", "MaxArraySize            = 4\n")
    assert limits.most_tasks() == 4
