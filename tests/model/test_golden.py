"""The published model's golden vectors against the fast path and against the plain computation that tests trust."""

import pytest
import torch

from benchmarks.golden import (
    BOUNDS,
    Golden,
    differences,
    log_density_differences,
    relative,
)
from entreg.model import reference
from entreg.model.step_library import available
from tests.conftest import ROOT, SHARED

FOLDER = ROOT / "tests/golden"
SPATIAL = sorted(FOLDER.glob("spatial_*.npz"))


def assert_within_bounds(found):
    past = {name: value for name, value in found.items() if BOUNDS[name] is not None and not value <= BOUNDS[name]}
    assert not past, f"past their bounds: {past}"


def test_there_are_golden_vectors():
    assert [path.stem for path in SPATIAL] == ["spatial_landscape", "spatial_portrait_mixed_res", "spatial_rounding"]


@pytest.mark.parametrize("path", SPATIAL, ids=lambda path: path.stem)
@pytest.mark.parametrize("step", ["torch", *available()])
def test_fast_path_meets_the_golden_vectors(path, step):
    found = differences(path, step=step)
    assert found.keys() >= {"log_density_beyond_rounding", "nll_nats", "entropy_nats", "gradient"}
    assert_within_bounds(found)


@pytest.mark.parametrize("path", SPATIAL, ids=lambda path: path.stem)
def test_plain_computation_meets_the_golden_vectors(path):
    golden = Golden(path)
    expected = golden.tensors
    parameters = {name: tensor.clone().requires_grad_() for name, tensor in golden.parameters.items()}
    found = reference.log_density(parameters, golden.taps(), expected["center_bias"], *golden.factors)
    loss = reference.nll_nats(found, list(zip(expected["fix_y"], expected["fix_x"], strict=True)))
    loss.backward()
    found = found.detach()
    assert_within_bounds(
        log_density_differences(found, expected["log_density"])
        | {
            "nll_nats": abs(float(loss.detach()) - float(expected["nll_nats"])),
            "entropy_nats": float((reference.entropy_nats(found) - expected["entropy_nats"]).abs().max()),
            "gradient": max(relative(p.grad, expected[f"grad:{name}"]) for name, p in parameters.items()),
        }
    )


def test_backbone_and_fast_path_meet_a_real_photo():
    photo, weights = SHARED / "golden/photo_vgg19.npz", SHARED / "weights/vgg19_imagenet_features.pth"
    if not (photo.is_file() and weights.is_file()):
        pytest.skip(f"a real photo and VGG-19's weights are not part of the project (looked for {photo} and {weights})")
    with torch.no_grad():
        found = differences(photo, str(weights))
    assert found.keys() >= {"log_density_beyond_rounding", "tap_mean"}
    assert_within_bounds(found)
