from entreg.training.batches import in_order, shuffled

SIZES = [(3, 4), (4, 3), (3, 4), (3, 4), (4, 3), (3, 4), (3, 4)]


def test_every_image_is_in_one_batch_of_its_size():
    order = shuffled(SIZES, 2, seed=0, epoch=0)
    assert sorted(i for batch in order for i in batch) == list(range(7))
    assert all(len({SIZES[i] for i in batch}) == 1 for batch in order)
    assert sorted(map(len, order)) == [1, 2, 2, 2]


def test_the_order_depends_on_seed_and_epoch_alone():
    assert shuffled(SIZES, 2, 0, 3) == shuffled(SIZES, 2, 0, 3)
    orders = [shuffled(SIZES, 2, seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert all(a != b for i, a in enumerate(orders) for b in orders[:i])


def test_in_order():
    assert in_order(SIZES, 4) == [[0, 2, 3, 5], [6], [1, 4]]
