"""The precision of products and the algorithm of convolutions: from the settings and what the machine has."""

from pathlib import Path

import pytest
import torch

from entreg.config import Backbone, Hardware
from entreg.distributed import precision
from entreg.distributed.precision import backbone_precision_of, convolution_of, precision_of
from entreg.errors import SettingError


def test_precision_is_what_was_asked_for():
    assert precision_of(Hardware(precision="float16"), "cuda") is torch.float16
    assert backbone_precision_of(Backbone(precision="float16"), "cuda") is torch.float16


def test_a_precision_that_is_not_possible_is_refused_with_its_setting(monkeypatch):
    monkeypatch.setattr(precision, "_cpu_computes_in_float16", lambda: False)
    with pytest.raises(SettingError, match=r"^hardware\.precision=float16"):
        precision_of(Hardware(precision="float16"), "cpu")
    with pytest.raises(SettingError, match=r"^model\.backbone\.precision=float16"):
        backbone_precision_of(Backbone(precision="float16"), "cpu")


@pytest.mark.parametrize(
    "capability, expected",
    [
        ((7, 5), torch.float32),
        ((8, 0), torch.bfloat16),
        ((9, 0), torch.bfloat16),
    ],
)
def test_auto_is_bfloat16_where_the_gpu_computes_it(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert precision_of(Hardware(precision="auto"), "cuda") is expected


@pytest.mark.parametrize(
    "flags, expected",
    [
        ("fpu avx2 avx512f", torch.float32),
        ("avx2 avx512_bf16", torch.bfloat16),
        ("avx512f amx_bf16", torch.bfloat16),
    ],
)
def test_auto_is_bfloat16_where_the_cpu_computes_it(monkeypatch, flags, expected):
    monkeypatch.setattr(Path, "is_file", lambda self: True)
    monkeypatch.setattr(Path, "read_text", lambda self: f"model name: x\nflags: {flags}\n")
    assert precision_of(Hardware(precision="auto"), "cpu") is expected


@pytest.mark.parametrize(
    "asked, kind, products, stored, available, expected",
    [
        ("auto", "cpu", "float32", "float16", True, "winograd"),
        ("auto", "cpu", "float32", "bfloat16", True, "winograd"),
        # its error would be seen
        ("auto", "cpu", "float32", "float32", True, "direct"),
        ("auto", "cpu", "float32", "float16", False, "direct"),
        ("auto", "cpu", "bfloat16", "float16", True, "direct"),
        ("auto", "cuda", "float32", "float16", True, "direct"),
        ("direct", "cpu", "float32", "float16", True, "direct"),
        ("winograd", "cpu", "float32", "float32", True, "winograd"),
        ("winograd", "cuda", "float32", "float16", True, SettingError),
        ("winograd", "cpu", "bfloat16", "float16", True, SettingError),
        ("winograd", "cpu", "float32", "float16", False, SettingError),
    ],
)
def test_winograd_where_it_can_be_used_and_half_precision_hides_its_error(
    monkeypatch, asked, kind, products, stored, available, expected
):
    monkeypatch.setattr(torch, "_nnpack_available", lambda: available)
    arguments = Hardware(convolution=asked), kind, getattr(torch, products), getattr(torch, stored)
    if expected is SettingError:
        with pytest.raises(SettingError, match="hardware.convolution=winograd needs"):
            convolution_of(*arguments)
    else:
        assert convolution_of(*arguments) == expected
