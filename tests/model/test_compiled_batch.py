"""The arguments of the compiled functions: Python describes what the C sources declare."""

import re

import pytest
import torch

from entreg.features.grid import grid_of
from entreg.model import compiled_batch
from entreg.model.compiled_batch import CompiledBatch, ModelTensors
from entreg.model.step_library import SOURCES

DECLARATION = re.compile(r"typedef struct \{([^}]*)\} (\w+);")


def declared(file: str, name: str) -> list[str]:
    """Return the names of the members of a structure of the sources, in their order."""
    text = re.sub(r"/\*.*?\*/", "", (SOURCES / file).read_text(), flags=re.DOTALL)
    (body,) = (body for body, of in DECLARATION.findall(text) if of == name)
    members = (member for line in body.split(";") for member in line.split(","))
    return [re.findall(r"\w+", member)[-1] for member in members if member.strip()]


def test_the_structures_have_the_members_that_the_sources_declare():
    for kind, file, name in (
        (CompiledBatch, "step.c", "Batch"),
        (compiled_batch._Block, "step.c", "Block"),
        (compiled_batch._Cells, "networks.h", "Cells"),
        (compiled_batch._Map, "density.h", "Map"),
    ):
        assert [field for field, *_ in kind._fields_] == declared(file, name)


def test_the_numbers_are_those_of_the_sources():
    """8 outputs, then layers of 16, 1, 128 and 16, of which each has a shift, and a last row (see networks.h)."""
    assert compiled_batch.PARAMETERS == 8 + (8 * 16 + 16) + (16 + 1) + (128 + 128) + (128 * 16 + 16) + 16
    assert compiled_batch.SAVED_ROWS == 8 + 16 + 1 + 128 + 16 + 1
    assert f"PIECE = {compiled_batch.PIECE}," in (SOURCES / "step.c").read_text()
    types = dict(re.findall(r"(FLOAT32|FLOAT16)()", (SOURCES / "products.h").read_text()))
    assert [str(dtype).removeprefix("torch.").upper() for dtype in compiled_batch.TYPES] == [*types]


def test_rows_are_filled_up_with_zeros_to_whole_vectors():
    filled = compiled_batch._filled_up(torch.ones(2, 17))
    assert filled.shape == (2, 32) and filled[:, 17:].eq(0).all() and filled[:, :17].eq(1).all()
    exact = torch.ones(2, 32)
    assert compiled_batch._filled_up(exact) is exact


def test_gradients_are_cut_to_the_tensors_of_a_model():
    """A number that says where it lies is found there: blurs of columns lie transposed."""
    batch, grid = CompiledBatch(), grid_of((112, 176), ((7, 11),), 2, 4, 4)
    batch.set_grid(grid)
    blurs = torch.rand(28, 7), torch.rand(44, 11)
    batch.set_models([ModelTensors(torch.rand(8, 20), torch.rand(2505), *blurs, torch.rand(1))])
    assert (batch.channels, batch.map.wide_rows, batch.map.wide_map_columns) == (32, 16, 48)
    others = torch.arange(batch.others, dtype=torch.float64)
    wide, parameters, rows, columns, weight = batch.gradients(torch.ones(8, 32).double(), others, 20)
    assert wide.shape == (8, 20) and torch.equal(parameters, torch.arange(2505.0))
    assert rows.shape == (28, 7) and rows[3, 2] == 2505 + 3 * 16 + 2
    assert columns.shape == (44, 11) and columns[5, 4] == 2505 + 28 * 16 + 4 * 48 + 5
    assert weight.tolist() == [len(others) - 1]


@pytest.mark.parametrize("name", ["features", "fixated", "center_biases"])
def test_memory_of_another_type_is_not_pointed_to(name):
    batch = CompiledBatch()
    with pytest.raises(AssertionError, match=name):
        batch.hold(name, torch.zeros(3, dtype=torch.float64))
