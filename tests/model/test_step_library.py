"""Which version of the step a training uses: the fastest that is there, unless the settings or the inputs forbid it."""

import os
import shutil
import subprocess
import sys

import pytest
import torch

from entreg.config import Hardware
from entreg.errors import SettingError
from entreg.model import step_library
from entreg.model.step_library import NEEDS, TORCH, available, candidates, description, for_evaluation
from tests.conftest import ROOT

ALL_FLAGS = set().union(*NEEDS.values())


@pytest.fixture
def machine(monkeypatch):
    """machine(flags, built): a processor with these flags, and the versions that are installed."""

    def made(flags: set[str], built: list[str]) -> None:
        monkeypatch.setattr(step_library, "cpu_flags", lambda: flags)
        monkeypatch.setattr(step_library, "_is_built", lambda version: version in built)
        available.cache_clear()

    yield made
    monkeypatch.undo()
    available.cache_clear()


def chosen(step: str = "auto", kind="cpu", precision=torch.float32, stored=torch.float16):
    return candidates(Hardware(step=step), kind, precision, stored)


@pytest.mark.parametrize(
    "flags, built, expected",
    [
        (ALL_FLAGS, ["avx512", "avx2", "c"], ("avx512", "avx2", "c")),
        (ALL_FLAGS, ["c"], ("c",)),
        ({"avx2", "fma", "f16c"}, ["avx512", "avx2", "c"], ("avx2", "c")),
        ({"avx2", "fma"}, ["avx512", "avx2", "c"], ("c",)),
        (set(), ["avx512", "avx2", "c"], ("c",)),
        (ALL_FLAGS, [], ()),
    ],
)
def test_a_version_is_there_where_it_is_built_and_the_processor_has_its_instructions(machine, flags, built, expected):
    machine(flags, built)
    assert available() == expected


def test_an_evaluation_takes_the_fastest_version_unless_the_settings_forbid_it(machine):
    machine(ALL_FLAGS, ["avx2", "c"])
    assert for_evaluation(Hardware()) == for_evaluation(Hardware(step="compiled", precision="bfloat16")) == "avx2"
    assert for_evaluation(Hardware(step="plain")) == TORCH
    # also of runs that were trained with hardware.step=compiled elsewhere
    machine(ALL_FLAGS, [])
    assert for_evaluation(Hardware(step="compiled")) == TORCH


def test_a_variable_names_the_fastest_version_that_may_be_used(machine, monkeypatch):
    machine(ALL_FLAGS, ["avx512", "avx2", "c"])
    monkeypatch.setenv("ENTREG_STEP", "avx2")
    assert available() == ("avx2", "c")
    available.cache_clear()
    monkeypatch.setenv("ENTREG_STEP", "sse")
    with pytest.raises(SettingError, match="ENTREG_STEP=sse is not a version .*: avx512, avx2, c"):
        available()


def test_auto_takes_the_fastest_and_can_go_on_with_any(machine):
    machine(ALL_FLAGS, ["avx2", "c"])
    assert chosen() == (["avx2", "c", "torch"], None)
    assert chosen("compiled", stored=torch.float32) == (["avx2", "c"], None)
    assert chosen("plain") == (["torch"], "hardware.step=plain")


@pytest.mark.parametrize(
    "built, inputs, why",
    [
        (["c"], {"kind": "cuda"}, "is for CPUs"),
        (["c"], {"precision": torch.bfloat16}, "computes in float32, and hardware.precision is bfloat16"),
        (["c"], {"stored": torch.bfloat16}, "store.dtype is bfloat16"),
        ([], {}, "was not built from these sources: install a C compiler"),
    ],
)
def test_where_it_cannot_be_compiled_auto_says_why_and_compiled_refuses(machine, built, inputs, why):
    machine(ALL_FLAGS, built)
    versions, reason = chosen(**inputs)
    assert versions == ["torch"] and why in reason
    with pytest.raises(SettingError, match=f"hardware.step=compiled: .*{why}.*\n.*hardware.step=auto"):
        chosen("compiled", **inputs)


@pytest.mark.skipif(not available(), reason="the compiled step was not built here")
def test_a_version_is_described_with_its_compiler():
    for version in available():
        assert step_library.library(version).entreg_version().decode() == version
        assert description(version).startswith(f"{version} (") and any(c.isdigit() for c in description(version))
    assert description("torch") == "torch"


@pytest.mark.slow
@pytest.mark.parametrize("flags", ["-mavx512f -mfma -mf16c", "-mavx2 -mfma -mf16c", ""])
@pytest.mark.parametrize("compiler", ["gcc", "gcc-11", "gcc-12", "clang", "aarch64-linux-gnu-gcc"])
def test_each_compiler_compiles_each_version_without_a_warning(compiler, flags, tmp_path):
    if shutil.which(compiler) is None or (flags and "aarch64" in compiler):
        pytest.skip(f"{compiler} is not here, or has no such instructions")
    source, to = ROOT / "entreg/model/step/step.c", tmp_path / "step.o"
    options = "-std=gnu11", "-O3", *flags.split(), "-Wall", "-Wextra", "-Werror"
    subprocess.run((compiler, *options, "-c", source, "-o", to), check=True)


@pytest.mark.skipif(not available(), reason="the compiled step was not built here")
def test_what_was_built_from_other_sources_is_not_used(monkeypatch, tmp_path):
    """An old library would read its arguments wrongly. A wheel has no sources to compare with."""
    sources = shutil.copytree(ROOT / "entreg/model/step", tmp_path / "step")
    monkeypatch.setattr(step_library, "SOURCES", sources)
    assert step_library._is_built("c")
    (sources / "step.c").write_text("/* other */")
    assert not step_library._is_built("c")
    shutil.rmtree(sources)
    assert step_library._is_built("c")


def test_a_checkout_that_was_not_built_computes_with_pytorch(tmp_path):
    """A copy of the package without the compiled files."""
    shutil.copytree(ROOT / "entreg", tmp_path / "entreg", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    code = (
        "from entreg.model.step_library import candidates; from entreg.config import Hardware; import torch\n"
        "print(candidates(Hardware(), 'cpu', torch.float32, torch.float16)[0])"
    )
    done = subprocess.run(
        (sys.executable, "-c", code),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "['torch']\n"
