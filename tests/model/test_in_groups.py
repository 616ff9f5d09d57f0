import pytest

from entreg.model.in_groups import in_groups


def test_what_has_the_same_key_is_computed_together_and_comes_back_in_order():
    calls = []

    def compute(key, numbers):
        calls.append((key, numbers))
        return [f"{key}{number}" for number in numbers]

    assert in_groups(["b", "a", "b", "b"], compute) == ["b0", "a1", "b2", "b3"]
    assert calls == [("b", [0, 2, 3]), ("a", [1])]
    assert in_groups([], compute) == []


def test_each_has_a_result():
    with pytest.raises(ValueError, match="shorter"):
        in_groups([1, 1], lambda key, numbers: numbers[:1])
