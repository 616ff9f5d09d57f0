from entreg.priors.parts import PART, parts


def test_parts_cover_each_row_once():
    count = 2 * PART + 3
    assert [range(count)[part] for part in parts(count)] == [
        range(PART),
        range(PART, 2 * PART),
        range(2 * PART, count),
    ]
    assert parts(0) == [] and parts(PART) == [slice(0, PART)]


def test_a_part_holds_so_many_numbers_and_at_least_one_row():
    assert parts(5, PART // 2) == [slice(0, 2), slice(2, 4), slice(4, 6)]
    assert parts(2, PART + 1) == [slice(0, 1), slice(1, 2)]
    assert parts(3, 0) == [slice(0, PART)]
