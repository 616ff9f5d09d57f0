"""The devices of a run, and the resources that it requests from SLURM."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from entreg.config.model import PRECISIONS
from entreg.config.settings import setting


@dataclass
class Hardware:
    """The devices of a run, and the resources that it requests from SLURM."""

    name: str = setting(MISSING, "name of this option", affects="machine")
    kind: str = setting("auto", "kind of device", affects="replicate", one_of=("auto", "cpu", "cuda"))
    devices: int | None = setting(
        None,
        "number of ranks, one per device; null: all visible GPUs, or one CPU process where there are none",
        affects="replicate",
        at_least=1,
    )
    precision: str = setting(
        "float32",
        "precision of the readout's matrix products; auto: bfloat16 where the device computes it natively, else "
        "float32; model.backbone.precision is the backbone's",
        affects="result",
        one_of=PRECISIONS,
    )
    convolution: str = setting(
        "auto",
        "algorithm of the backbone's convolutions; winograd: on the CPU in float32, a third faster, with an error far "
        "below the rounding of float16; auto: winograd where it is possible and store.dtype is not float32",
        affects="result",
        one_of=("auto", "direct", "winograd"),
    )
    step: str = setting(
        "auto",
        "how training steps are computed; compiled: by compiled functions, on the CPU in float32; plain: by PyTorch; "
        "auto: compiled where that is possible. The last digits differ",
        affects="machine",
        one_of=("auto", "compiled", "plain"),
    )
    threads: int | None = setting(
        None,
        "CPU threads of each rank; null: the available cores divided by the ranks",
        affects="replicate",
        at_least=1,
    )
    gpus: int | None = setting(None, "GPUs to request from SLURM; null: none", affects="machine", at_least=1)
    cpus: int = setting(2, "CPUs to request from SLURM", affects="machine", at_least=1)
    memory_gb: int | None = setting(
        16, "memory to request from SLURM; null: what the cluster gives", affects="machine", at_least=1
    )
    timeout_min: int = setting(240, "wall time to request from SLURM", affects="machine", at_least=1)
    partition: str | None = setting(None, "SLURM partition", affects="machine")
    account: str | None = setting(None, "SLURM account", affects="machine")
    constraint: str | None = setting(None, "SLURM constraint, such as a100", affects="machine")
