"""The arguments of the compiled functions: Python describes what the C sources declare."""

import re

import pytest
import torch

from entreg.features.grid import grid_of
from entreg.model import compiled_batch
from entreg.model.compiled_batch import CompiledBatch
from entreg.model.deepgaze3 import DeepGaze3
from entreg.model.finalizer import blur_matrix
from entreg.model.step_library import SOURCES, available, library

DECLARATION = re.compile(r"typedef struct \{([^}]*)\} (\w+);")


def declared(file: str, name: str) -> list[str]:
    """Return the names of the members of a structure of the sources, in their order."""
    text = re.sub(r"/\*.*?\*/", "", (SOURCES / file).read_text(), flags=re.DOTALL)
    (body,) = (body for body, of in DECLARATION.findall(text) if of == name)
    members = (member for line in body.split(";") for member in line.split(","))
    return [re.findall(r"\w+", member)[-1] for member in members if member.strip()]


def test_the_structures_have_the_members_that_the_sources_declare():
    for kind, file, name in (
        (CompiledBatch, "batch.h", "Batch"),
        (compiled_batch._Block, "batch.h", "Block"),
        (compiled_batch._Cells, "networks.h", "Cells"),
        (compiled_batch._Map, "density.h", "Map"),
    ):
        assert [field for field, *_ in kind._fields_] == declared(file, name)


def test_the_numbers_are_those_of_the_sources():
    """8 outputs, then layers of 16, 1, 128 and 16, of which each has a shift, and a last row (see networks.h).

    As they are learned, each layer's inputs have a scale and a shift as well, and sigma and weight follow.
    """
    learned = sum(parameter.numel() for parameter in DeepGaze3(20, 3.0, 0).parameters())
    assert learned - (2 * 20 + 20 * 8 + 8) == compiled_batch.OTHERS
    assert compiled_batch.PARAMETERS == 8 + (8 * 16 + 16) + (16 + 1) + (128 + 128) + (128 * 16 + 16) + 16
    assert compiled_batch.SAVED_ROWS == 8 + 16 + 1 + 128 + 16 + 1
    assert f"PIECE = {compiled_batch.PIECE}," in (SOURCES / "widest_product.h").read_text()
    types = dict(re.findall(r"(FLOAT32|FLOAT16)()", (SOURCES / "products.h").read_text()))
    assert [str(dtype).removeprefix("torch.").upper() for dtype in compiled_batch.TYPES] == [*types]


def test_rows_are_filled_up_with_zeros_to_whole_vectors():
    filled = compiled_batch._filled_up(torch.ones(2, 17))
    assert filled.shape == (2, 32) and filled[:, 17:].eq(0).all() and filled[:, :17].eq(1).all()
    exact = torch.ones(2, 32)
    assert compiled_batch._filled_up(exact) is exact


@pytest.mark.skipif(not available(), reason="the compiled step was not built here")
@pytest.mark.parametrize("sigma_px", [0.2, 3.0, -3.0, 40.0])
def test_layers_and_blurs_are_merged_as_pytorch_does(sigma_px: float):
    """Also where the blur is wider than the map, and where a step of the optimiser made sigma negative."""
    grid = grid_of((112, 176), ((7, 11),), 2, 4, 4)
    model = DeepGaze3(20, sigma_px, 1)
    with torch.no_grad():
        for parameter in [*model.saliency_network.parameters(), *model.fixation_selection_network.parameters()]:
            parameter.add_(torch.randn_like(parameter))
    (wide, first), *layers, (last, _) = model.layers()
    others = [first, *(tensor for layer in layers for tensor in layer), last]
    for version in available():
        batch = CompiledBatch()
        batch.set_grid(grid)
        batch.set_models([model.in_order()], library(version).entreg_merge)
        assert (batch.channels, batch.map.wide_columns, batch.map.wide_map_columns) == (32, 16, 48)
        held = {name: batch._held[name][0] for name in ("wide", "parameters", "row_blurs", "column_blurs")}
        close = {"rtol": 1e-6, "atol": 1e-6}
        torch.testing.assert_close(held["wide"][:, :20], wide.float(), **close)
        assert held["wide"][:, 20:].eq(0).all()
        torch.testing.assert_close(held["parameters"], torch.cat([x.flatten() for x in others]).float(), **close)
        torch.testing.assert_close(held["row_blurs"], blur_matrix(model.finalizer.gauss.sigma, grid.rows), **close)
        columns = blur_matrix(model.finalizer.gauss.sigma, grid.columns)
        torch.testing.assert_close(held["column_blurs"][:, :11], columns, **close)
        assert torch.equal(batch._held["column_blurs_transposed"][0, :, :44], held["column_blurs"][:, :11].mT)


@pytest.mark.parametrize("name", ["features", "fixated", "center_biases"])
def test_memory_of_another_type_is_not_pointed_to(name):
    batch = CompiledBatch()
    with pytest.raises(AssertionError, match=name):
        batch.hold(name, torch.zeros(3, dtype=torch.float64))
