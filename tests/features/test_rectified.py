"""ReLUs that are not stored come back to the bit, whatever images, precisions and taps are."""

import numpy as np
import pytest
import torch

from entreg.config import Backbone
from entreg.features.rectified import PADDING, Block, Rectified, Relu, layout
from entreg.features.store_builder import fingerprint
from tests.features.pictures import CPU, Pictures, complete, opened, recipe

PAIR = ["conv2_1", "relu2_1"]
DTYPES = [torch.float16, torch.bfloat16, torch.float32]


def test_a_relu_is_read_where_its_input_is_stored():
    """Taps of 2, 3, 4, 3 and 5 channels, of which the fourth is the ReLU of the second."""
    found = layout(17, [Relu(first=9, input=2, channels=3)])
    assert found.blocks == (Block(0, 9, 0, False), Block(9, 12, 2, True), Block(12, 17, 9, False))
    assert found.stored == 14 and found.width == 14 + PADDING
    # the input may stand behind its ReLU, and there may be several
    found = layout(6, [Relu(0, 1, 1), Relu(4, 2, 2)])
    assert found.blocks == (Block(0, 1, 0, True), Block(1, 4, 0, False), Block(4, 6, 1, True))
    found = layout(5, [])
    assert found.blocks == (Block(0, 5, 0, False),) and found.width == 5


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    "taps", [PAIR, ["relu2_1", "conv3_1", "conv2_1"], ["relu1_1", "conv1_1", "relu2_2", "conv2_2"]]
)
def test_a_row_of_a_store_gives_the_features_back_to_the_bit(dtype, taps):
    made_by = recipe(dtype, taps=taps)
    image = np.random.default_rng(0).integers(0, 256, (97, 131, 3), dtype=np.uint8)
    features = made_by.row(image, CPU)
    row = made_by.layout.row(features)
    assert row.shape == (len(features), made_by.layout.width) and row.numel() < features.numel()
    found = made_by.layout.features(row)
    assert isinstance(found, Rectified) and found.shape == features.shape and found.dtype == dtype
    assert torch.equal(found.full().view(torch.uint8), features.view(torch.uint8))
    assert torch.equal(found[3:8].full(), features[3:8]) and len(found[3:8]) == 5
    # some cells at a time, cast, as a product reads them
    for to in DTYPES:
        assert torch.equal(found.write(torch.empty(features.shape, dtype=to)), features.to(to))


@pytest.mark.parametrize("least", [-1.0, 0.0, 0.5])
def test_a_relu_of_which_no_input_is_below_0_comes_back_too(least):
    """Normalised by 2 x + 1: a floor below every input changes none, such as that of another tap's ReLU."""
    x, other = torch.tensor([[least, 3.0], [2.0, 1.0]]), torch.tensor([[-1.0], [4.0]])
    features = torch.cat([2 * part + 1 for part in (x, x.relu(), other, other.relu())], 1)
    of = layout(6, [Relu(2, 0, 2), Relu(5, 4, 1)])
    assert torch.equal(of.features(of.row(features)).full(), features)


def test_what_is_not_a_number_stays_so():
    of, features = layout(2, [Relu(1, 0, 1)]), torch.tensor([[1.0, 1.0], [float("nan"), float("nan")]])
    assert of.features(of.row(features)).full()[1].isnan().all()


def test_of_the_default_taps_a_fifth_is_not_stored():
    taps = recipe(taps=Backbone().taps)
    assert taps.backbone.relus() == [Relu(512, 0, 512)]
    assert taps.layout.stored == 4 * 512
    # 2 bytes a number: .806 of what all taps take
    assert recipe(torch.float16, taps=Backbone().taps).row_bytes((768, 1024)) == 768 * (4 * 512 + 16) * 2


def test_a_store_of_an_earlier_version_is_read_as_it_is(tmp_path):
    """It holds all channels, in a folder whose name is the fingerprint alone."""
    images, made_by = Pictures(tmp_path), recipe(taps=PAIR)
    before = opened(tmp_path, images, made_by.uncompacted())
    assert complete(tmp_path) == [fingerprint(images, made_by)] and isinstance(before.compact(0), torch.Tensor)
    found = opened(tmp_path, images, made_by)
    assert complete(tmp_path) == [before.folder.name] and found.fingerprint == before.fingerprint
    assert all(torch.equal(found[i], before[i]) for i in range(4))
    # one that was built meanwhile comes first, and has the same fingerprint
    new = opened(tmp_path / "new", images, made_by)
    assert new.folder.name == before.folder.name + "-without-relus" and new.fingerprint == before.fingerprint
    assert all(torch.equal(new[i], before[i]) for i in range(4))
