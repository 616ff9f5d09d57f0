"""What a row of features looks like, and what a store's contents are said to depend on."""

import hashlib
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from entreg.config import Backbone, Model
from entreg.features import recipe as recipe_module
from entreg.features.backbone import build
from entreg.features.grid import rounds_otherwise_in_float64
from entreg.features.recipe import Recipe
from entreg.features.store_builder import fingerprint
from entreg.features.vgg19 import Vgg19Taps
from tests.features.pictures import CPU, TAPS, Pictures, recipe

SIZE = (64, 96)
# not divided by 2, 4 or 16: cells of unequal length
RAGGED = (97, 131)


@pytest.fixture(scope="module")
def published():
    """The study's own taps and factors; the weights do not matter here."""
    model = Model()
    return Recipe(
        Vgg19Taps(Backbone().taps, model.downsample), model.readout_factor, model.saliency_map_factor, torch.float16
    )


@pytest.mark.parametrize("size", [SIZE, RAGGED], ids=str)
@pytest.mark.parametrize("dtype, bytes_each", [(torch.float32, 4), (torch.float16, 2), (torch.bfloat16, 2)])
def test_a_row_has_a_line_of_channels_for_each_cell(size, dtype, bytes_each):
    made_by = recipe(dtype)
    row = made_by.row(np.zeros((*size, 3), dtype=np.uint8), CPU)
    assert row.shape == (made_by.grid(size).cells, 2 * 128) and row.dtype == dtype
    assert made_by.row_bytes(size) == row.numel() * bytes_each


def test_cells_and_bytes_of_the_study(published):
    """1024x768, halved and pooled four times, is 32x24 cells of five taps with 512 channels, 2 bytes each."""
    assert published.channels == 5 * 512
    assert published.grid((768, 1024)).cells == 24 * 32
    assert published.uncompacted().row_bytes((768, 1024)) == 24 * 32 * 5 * 512 * 2


def test_a_row_is_the_normalised_taps_at_the_cells():
    """Mean 0 and variance 1 over the readout's positions, of which a cell may stand for several."""
    made_by = recipe(torch.float32, taps=["conv3_1", "conv4_1"])
    image = np.random.default_rng(0).integers(0, 256, (*RAGGED, 3), dtype=np.uint8)
    grid = made_by.grid(RAGGED)
    taps = made_by.backbone(torch.from_numpy(image).permute(2, 0, 1)[None].float())
    readout = (-(-97 // 8), -(-131 // 8))
    plain = torch.cat([F.interpolate(tap, readout, mode="nearest") for tap in taps], 1)[0].double()
    plain = (plain - plain.mean()) / plain.var(correction=0).sqrt()
    cells = made_by.row(image, CPU).T.double().view(-1, len(grid.rows.counts), len(grid.columns.counts))
    positions = cells.repeat_interleave(grid.rows.counts, 1).repeat_interleave(grid.columns.counts, 2)
    torch.testing.assert_close(positions, plain, atol=1e-4, rtol=0)


def test_it_describes_all_that_features_depend_on():
    backbone = build(Backbone(taps=TAPS, seed=3), 2, ".")
    described = Recipe(backbone, 4, 4, torch.bfloat16, torch.float32, "direct").describe([SIZE, RAGGED, SIZE])
    assert described == {
        "backbone": "vgg19",
        "weights_sha256": backbone.fingerprint(),
        "taps": TAPS,
        "downsample": 2,
        "readout_factor": 4,
        "dtype": "torch.bfloat16",
        "backbone_precision": "torch.float32",
        "convolution": "direct",
        "layout": 1,
    }
    assert recipe(seed=4).describe([SIZE])["weights_sha256"] != described["weights_sha256"]


@pytest.mark.parametrize(
    "sizes, layout",
    [
        ([(768, 1024), (1024, 768)], 1),
        ([(288, 384)], 1),
        ([(144, 192)], 1),
        ([], 1),
        # what float32 and float64 round otherwise there leads from the readout to the map, and is not stored
        ([(160, 234)], 1),
        # 50 rows of a tap become 198 of the readout
        ([(1184, 1580)], 2),
        ([(1580, 1184)], 2),
        ([(768, 1024), (1184, 1580)], 2),
    ],
    ids=str,
)
def test_only_images_that_were_read_otherwise_have_another_layout(published, sizes, layout):
    assert published.describe(sizes)["layout"] == layout


def test_exactly_the_sizes_that_round_otherwise_in_float64_are_known(published):
    """Every length of a side from 32 to 2048 pixels, by resizing in either precision."""
    taps, factors = published.backbone, (published.backbone.downsample, published.readout_factor)

    def halved(length):
        length //= 2
        for _ in range(4):
            length = -(-length // 2)
        return length

    def nearest(dtype, length, new_length):
        return F.interpolate(torch.arange(length, dtype=dtype)[None, None], new_length, mode="nearest")[0, 0].tolist()

    def differs(length):
        resize = halved(length), -(-length // 8)
        return nearest(torch.float32, *resize) != nearest(torch.float64, *resize)

    lengths = [length for length in range(32, 2049) if differs(length)]
    assert 1580 in lengths and len(lengths) < 40
    for side in (0, 1):
        sizes = [(length, 64) if side == 0 else (64, length) for length in range(32, 2049)]
        assert [s[side] for s in sizes if rounds_otherwise_in_float64(s, taps.tap_sizes(s), *factors)] == lengths


def test_another_version_of_the_code_has_other_stores(tmp_path, monkeypatch):
    """The first one's are named as they were before there was a version."""
    made_by, images = recipe(), Pictures(tmp_path)
    described = made_by.describe(images.sizes)
    assert len(described) == 9 and "version" not in described
    content = json.dumps([described, images.contents, images.sizes], sort_keys=True)
    assert fingerprint(images, made_by) == hashlib.sha256(content.encode()).hexdigest()[:20]
    monkeypatch.setattr(recipe_module, "VERSION", 2)
    assert made_by.describe(images.sizes) == described | {"version": 2}
    assert fingerprint(images, made_by) != hashlib.sha256(content.encode()).hexdigest()[:20]
