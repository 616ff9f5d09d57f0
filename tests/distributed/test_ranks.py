"""Shares of the ranks, and sums over them; several real processes are started in tests/distributed/test_launch.py."""

from contextlib import nullcontext

import pytest
import torch

from entreg.distributed import ranks
from entreg.distributed.ranks import Ranks, Stopped, under_torchrun


@pytest.fixture
def twin(monkeypatch):
    """One of two ranks, of which the other one holds the same numbers: a sum over both is the double."""

    def all_gather(of_ranks, tensor, group):
        for one in of_ranks:
            one.copy_(tensor)

    monkeypatch.setattr(ranks.dist, "all_gather", all_gather)
    return Ranks(rank=1, world_size=2)


@pytest.mark.parametrize("world_size", [1, 2, 3, 5, 9])
def test_shares_part_the_items_and_differ_by_one_at_most(world_size):
    items = list("abcdefg")
    shares = [Ranks(rank, world_size).shard(items) for rank in range(world_size)]
    assert sorted(sum(shares, [])) == items
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert all(share == sorted(share) for share in shares)


def test_the_first_rank_alone_writes():
    assert [Ranks(rank, 3).is_first for rank in range(3)] == [True, False, False]


def test_one_rank_needs_nobody_else():
    """There is no process group here, so that whoever asked for one would fail."""
    alone, x = Ranks(), torch.tensor([1.0, 2.0], requires_grad=True)
    assert alone.sum(x) is x and alone.differentiable_sum(x) is x
    assert alone.gather("mine") == ["mine"]
    assert alone.barrier() is None
    assert alone.device == torch.device("cpu")


def test_a_sum_is_made_in_the_ranks_order_wherever_a_number_stands(monkeypatch):
    """2^24 + 1 is 2^24 in float32, so that 1 is left of (2^24 - 2^24) + 1, and nothing of (1 + 2^24) - 2^24."""
    held = torch.tensor([[2.0**24, 1.0], [-(2.0**24), 2.0**24], [1.0, -(2.0**24)]])

    def all_gather(of_ranks, tensor, group):
        assert torch.equal(tensor, held[1])
        for one, own in zip(of_ranks, held, strict=True):
            one.copy_(own)

    monkeypatch.setattr(ranks.dist, "all_gather", all_gather)
    assert Ranks(rank=1, world_size=3).sum(held[1].clone()).tolist() == [1, 0]


def test_gradients_flow_back_from_every_rank(twin):
    """Both ranks square the sum s of both x: the derivative of 2 s^2 by the own x is 4 s, 24 at s = 3 + 3."""
    x = torch.tensor(3.0, requires_grad=True)
    total = twin.differentiable_sum(x)
    assert total.item() == 6 and x.item() == 3
    total.square().backward()
    assert x.grad.item() == 24


def test_what_the_first_does_the_others_wait_for_and_a_stop_is_everyones(monkeypatch):
    done = []

    def stops():
        raise Stopped

    for said, work, raised in ((False, lambda: done.append(1), False), (True, stops, True)):
        gathered = []

        def gather(_, item, patient, gathered=gathered, said=said):
            gathered.append(item)
            return [said]

        monkeypatch.setattr(Ranks, "gather", gather)
        for rank in (0, 1):
            with pytest.raises(Stopped) if raised else nullcontext():
                Ranks(rank, 2).on_first_rank(work)
        assert gathered == [raised, False]
    assert done == [1]


def test_an_outer_torchrun_is_known_by_its_run_id(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert not under_torchrun()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "7")
    assert under_torchrun()
