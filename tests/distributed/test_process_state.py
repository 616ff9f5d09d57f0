"""What a training changes of its process is as before afterwards."""

import random

import numpy as np
import pytest
import torch

from entreg.distributed import process_state
from entreg.distributed.hardware import compute_deterministically


def state():
    return (
        torch.get_num_threads(),
        torch.get_deterministic_debug_mode(),
        torch.utils.deterministic.fill_uninitialized_memory,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_tf32,
    )


@pytest.mark.parametrize("fails", [False, True])
def test_threads_modes_and_random_numbers_are_those_of_before(fails, one_thread):
    torch.backends.cuda.matmul.allow_tf32 = True
    before = state()
    generators = random.random, np.random.random, lambda: float(torch.rand(1))
    for number, seed in enumerate((random.seed, np.random.seed, torch.manual_seed)):
        seed(number)
    expected = [draw() for draw in generators]
    for number, seed in enumerate((random.seed, np.random.seed, torch.manual_seed)):
        seed(number)
    try:
        with process_state.kept():
            compute_deterministically()
            torch.set_num_threads(2)
            for seed in (random.seed, np.random.seed, torch.manual_seed):
                seed(9)
            assert state()[:2] != before[:2] and not torch.backends.cuda.matmul.allow_tf32
            if fails:
                raise KeyError
    except KeyError:
        assert fails
    assert state() == before and [draw() for draw in generators] == expected
    torch.backends.cuda.matmul.allow_tf32 = False
