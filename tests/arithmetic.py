"""Run the numerical tests under every instruction set that a user's machine may choose.

    python -m tests.arithmetic           all tests of model, training and evaluation that compute in their own process
    python -m tests.arithmetic --fast    those of sums, products and bits alone: about three minutes on two cores

One variable is set at a time, then all are at their lowest together. What this machine does not have is skipped. Prints
a line for each variant and what failed, and exits with 1 where something did.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from entreg.distributed.hardware import cpu_flags

ROOT = Path(__file__).parents[1]
TESTS = (
    "tests/model",
    "tests/training",
    "tests/evaluation",
    "tests/features/test_normalisation.py",
    "tests/distributed/test_threads.py",
)
FAST = (
    *(
        f"tests/model/test_{name}.py"
        for name in (
            "wide_product",
            "batched_readout",
            "compiled_step",
            "exact_operations",
            "deepgaze3",
            "finalizer",
            "log_density",
            "golden",
        )
    ),
    "tests/features/test_normalisation.py",
    "tests/distributed/test_threads.py",
    "tests/evaluation/test_scores.py::test_several_models_are_scored_as_each_alone",
    "tests/training/test_training_group.py::test_a_runs_result_does_not_depend_on_its_group",
    "tests/training/test_training_group.py::test_a_runs_result_does_not_depend_on_the_number_of_threads",
)
AVX512 = ("avx512f", "avx512bw", "avx512dq", "avx512vl")


class Variant(NamedTuple):
    """One of the settings under which the tests run.

    needs: flags of /proc/cpuinfo without which this cannot be chosen
    library: that reads the variable, as PyTorch names it in `torch.backends`; None: PyTorch itself
    """

    setting: str
    needs: Sequence[str] = ()
    library: str | None = None

    def missing(self, flags: set[str]) -> str | None:
        """Why this cannot run on a processor with these flags; None where it can."""
        if self.library is not None and not getattr(torch.backends, self.library).is_available():
            return f"this PyTorch was built without {self.library}"
        lacking = [flag for flag in self.needs if flag not in flags]
        return f"this processor has no {', '.join(lacking)}" if lacking else None


VARIANTS = (
    Variant("ATEN_CPU_CAPABILITY=default"),
    Variant("ATEN_CPU_CAPABILITY=avx2", ("avx2", "fma")),
    Variant("ATEN_CPU_CAPABILITY=avx512", (*AVX512, "fma")),
    Variant("ONEDNN_MAX_CPU_ISA=SSE41", ("sse4_1",), "mkldnn"),
    Variant("ONEDNN_MAX_CPU_ISA=AVX2", ("avx2",), "mkldnn"),
    Variant("ONEDNN_MAX_CPU_ISA=AVX512_CORE", AVX512, "mkldnn"),
    Variant("ONEDNN_MAX_CPU_ISA=AVX512_CORE_AMX", (*AVX512, "amx_tile", "amx_int8", "amx_bf16"), "mkldnn"),
    Variant("MKL_ENABLE_INSTRUCTIONS=SSE4_2", ("sse4_2",), "mkl"),
    Variant("MKL_ENABLE_INSTRUCTIONS=AVX2", ("avx2",), "mkl"),
    Variant("MKL_ENABLE_INSTRUCTIONS=AVX512", AVX512, "mkl"),
    Variant("MKL_CBWR=COMPATIBLE", (), "mkl"),
    Variant("ENTREG_STEP=avx512", AVX512),
    Variant("ENTREG_STEP=avx2", ("avx2", "fma", "f16c")),
    Variant("ENTREG_STEP=c"),
    Variant("OMP_NUM_THREADS=1"),
    Variant("OMP_NUM_THREADS=2"),
    Variant(
        "ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_ENABLE_INSTRUCTIONS=SSE4_2 MKL_CBWR=COMPATIBLE "
        "ENTREG_STEP=c OMP_NUM_THREADS=1"
    ),
)
NAMES = {word.partition("=")[0] for variant in VARIANTS for word in variant.setting.split()}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Function]) -> None:
    """Leaves out tests that compute in processes of the command line: this module is a plugin of the runs below."""
    starting = [item for item in items if "command" in item.fixturenames]
    config.hook.pytest_deselected(items=starting)
    items[:] = [item for item in items if item not in starting]


def run(variant: Variant, tests: Sequence[str]) -> tuple[str, str, float]:
    """`passed`, `failed` or `skipped`; the reason, pytest's last line or, where it failed, all lines; seconds."""
    reason = variant.missing(cpu_flags())
    if reason is not None:
        return "skipped", reason, 0.0
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    environment |= dict(word.split("=") for word in variant.setting.split())
    started = time.perf_counter()
    done = subprocess.run(
        (sys.executable, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", "-p", "tests.arithmetic", *tests),
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        return "failed", done.stdout, seconds
    return "passed", done.stdout.strip().splitlines()[-1], seconds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.arithmetic", description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="the tests of sums, products and bits alone")
    tests = FAST if parser.parse_args().fast else TESTS
    started, counts, failures = time.perf_counter(), Counter[str](), []
    print(f"PyTorch {torch.__version__} computes with {torch.backends.cpu.get_cpu_capability()} here", flush=True)
    # each run computes in one thread, but for the tests of threads
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda variant: run(variant, tests), VARIANTS)
        for variant, (how, said, seconds) in zip(VARIANTS, results, strict=True):
            counts[how] += 1
            last = said.strip().splitlines()[-1]
            print(f"{how:8}{seconds:5.0f} s  {variant.setting}: {last}", flush=True)
            if how == "failed":
                failures.append((variant, said))
    for variant, output in failures:
        print(f"\n======== {variant.setting} ========\n{output}")
    ended = ", ".join(f"{counts[how]} {how}" for how in ("failed", "passed", "skipped") if counts[how])
    print(f"======== {ended} in {time.perf_counter() - started:.0f} s ========")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
