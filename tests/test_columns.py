from entreg.columns import aligned


def test_cells_stand_below_each_other_and_lines_end_with_a_letter():
    assert aligned([("run", "state"), ("10", "failed"), ("2", "")]) == ["run  state", "10   failed", "2"]
