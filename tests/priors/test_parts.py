from entreg.priors.parts import PART, parts


def test_parts_cover_each_row_once():
    count = 2 * PART + 3
    assert [range(count)[part] for part in parts(count)] == [
        range(PART),
        range(PART, 2 * PART),
        range(2 * PART, count),
    ]
    assert parts(0) == [] and parts(PART) == [slice(0, PART)]
