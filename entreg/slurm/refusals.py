"""What sbatch refuses, with the setting that asked for it."""

from __future__ import annotations

import re

from entreg.errors import brief

# what sbatch says, and the way out
WAYS_OUT = (
    ("account", "hardware.account=NAME; `sacctmgr show associations user=$USER` lists yours"),
    ("partition", "hardware.partition=NAME; `sinfo -s` lists the partitions"),
    ("time limit|time specification", "hardware.timeout_min=MINUTES; `sinfo -s` lists the partitions' limits"),
    ("memory", "hardware.memory_gb=GB, or hardware.memory_gb=null to ask for no amount"),
    ("gres|gpu|tres", "hardware.gpus=null asks for none, hydra.launcher.gres=gpu:TYPE:N for those of a type"),
    ("feature|constraint", "hardware.constraint=NAME; `sinfo -o %f` lists the features"),
    ("qos", "hydra.launcher.qos=NAME; the QOS also limits how much one user may ask for"),
    ("wckey", "+hydra.launcher.additional_parameters.wckey=NAME"),
    ("array", "hydra.launcher.array_parallelism=N limits how many jobs of a sweep run at once"),
    ("node|cpu|processor", "hardware.cpus=N hardware.gpus=N hardware.memory_gb=GB; `sinfo -Nl` lists what nodes have"),
)
UNKNOWN = re.compile("timed out|unable to contact|communication", re.IGNORECASE)


def explained(said: str) -> str:
    """Return what sbatch said, in one line, and the way out in the next, where one is known.

    said: its whole stderr
    """
    lines = [re.sub(r"^sbatch: (error: )?", "", line.strip()) for line in said.strip().splitlines()]
    lines = [line for line in lines if line]
    # the last line is the controller's code in words; the one before may say more
    text = "; ".join(dict.fromkeys(lines)) or "it said nothing"
    found = [way for pattern, way in WAYS_OUT if re.search(pattern, lines[-1] if lines else "", re.IGNORECASE)]
    way_out = f"\n  ask for something else   {found[0]}" if found else ""
    return f"SLURM refuses the jobs: {brief(text)}{way_out}"


def may_have_submitted(said: str) -> bool:
    """Return whether sbatch only did not hear an answer, so that the jobs may be in the queue all the same."""
    return bool(UNKNOWN.search(said))
