"""What Hydra says in dozens of lines is said in one, before the first job."""

import pytest


@pytest.mark.parametrize(
    "word, said",
    [
        ("loss=nll,nnl", "job 1 (loss=nnl): loss=nnl: the options are nll, nll_entropy, nll_regulariser\n"),
        (
            "data.fodl=1,2",
            "job 0 (data.fodl=1): data.fodl is no setting; near it are data.fold, data.folds\n",
        ),
        ("data.qqqqqqqq=1,2", "job 0 (data.qqqqqqqq=1): data.qqqqqqqq is no setting; --help=all lists them\n"),
        (
            "data.images=8,x",
            "job 1 (data.images=x): Error merging override data.images=x: "
            "Value 'x' of type 'str' could not be converted to Integer\n",
        ),
        ("+data.qqqqqqqq=1,2", "job 0 (+data.qqqqqqqq=1): data.qqqqqqqq is no setting; --help=all lists them\n"),
    ],
)
def test_a_wrong_word_in_a_sweep_is_one_line_with_what_there_is_instead(refused, word, said):
    assert refused(word) == said
