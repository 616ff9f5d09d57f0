import numpy as np
import pandas as pd

from entreg.data.tables import rules


def rows(**columns):
    texts = {name for name in columns if name in ("image", "subject", "eye", "n", "type")}
    return pd.DataFrame({name: pd.Categorical(v) if name in texts else v for name, v in columns.items()})


def test_one_row_of_each_key_is_kept():
    table = rows(image=list("aaab"), n=list("1121"), x=[1.0, 2, 3, 4])
    first, repeated = rules.one_per_key(table, ["image", "n"], "first")
    assert first["x"].tolist() == [1, 3, 4] and repeated == 1
    assert rules.one_per_key(table, ["image", "n"], "last")[0]["x"].tolist() == [2, 3, 4]


def test_a_fixation_on_two_pictures_is_the_later_ones_and_began_before():
    """Its number goes on over the change of the picture; 3 ends on none, 4 begins on none."""
    table = rows(
        image=["black", "page", "page", "page", None, None, "page", None], n=list("11233445"), x=np.arange(8.0)
    )
    found, repeated = rules.one_per_key(table, ["n"], "first")
    assert found["image"].astype(object).where(found["image"].notna(), None).tolist() == [
        "page",
        "page",
        "page",
        "page",
        None,
    ]
    assert found[rules.BEFORE].tolist() == [True, False, False, True, False] and repeated == 3


def test_only_rows_that_repeat_number_and_place_of_the_row_before_are_samples():
    table = rows(image=list("aaaab"), order=[0.0, 0, 1, 1, 1], x=[1.0, 1, 1, 2, 2], y=[5.0] * 5)
    assert rules.repeats_place_and_number(table).tolist() == [False, True, False, False, False]
    assert not rules.repeats_place_and_number(table.drop(columns="order")).any()


def test_lost_gaze_is_minus_one_for_both_unless_the_origin_is_the_centre():
    table = rows(x=[-1.0, -1, np.nan, 3], y=[-1.0, 4, 2, 3])
    assert rules.without_place(table, centred=False).tolist() == [True, False, True, False]
    assert rules.without_place(table, centred=True).tolist() == [False, False, True, False]


def test_the_eye_with_more_fixations_is_used():
    table = rows(image=list("aaabb"), eye=list("LRRLR"), x=[1.0, 2, 3, 4, 5])
    found, other = rules.one_eye(table)
    assert found["x"].tolist() == [2, 3, 4] and other == 2
    assert rules.one_eye(table[table["eye"] == "L"])[1] == 0


def test_fixations_are_numbered_in_the_order_of_time():
    table = rows(image=list("aaba"), start=[30.0, 10, 5, 20])
    assert rules.with_order(table)["order"].tolist() == [2, 0, 0, 1]
    assert rules.with_order(table.drop(columns="start"))["order"].tolist() == [0, 1, 0, 2]


def test_values_are_compared_as_numbers_or_words():
    table = rows(type=["1", "1.0", "True", "no", "2"], x=np.arange(5.0))
    assert rules.filtered(table, {"type": ["1", "true"]})[0]["x"].tolist() == [0, 1, 2]
    assert rules.filtered(table, {"type": ["9"]})[1] == {"of another type": 5}
