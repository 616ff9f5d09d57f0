"""An evaluation of models that learn from several sets: each set by itself, and their mean."""

from __future__ import annotations

import numpy as np
import pytest

from entreg.config import Data
from entreg.config.settings import resolved
from entreg.errors import DataError
from entreg.report import tables
from entreg.study import changed_sets
from entreg.study.finished_run import finished, read, saved
from tests import several_sets
from tests.evaluation.conftest import summarised
from tests.evaluation.photos import trained

FIRST, SECOND = several_sets.NAMES
IG = "ig_bits_per_fixation"


@pytest.fixture(scope="module")
def runs(composed, store, cache, tmp_path_factory):
    """Two trainings of the baseline and two of the regularised arm, with drawn weights."""
    place = tmp_path_factory.mktemp("runs")
    words = several_sets.words(several_sets.NAMES, "study=s", f"sets.{FIRST}.images=15", f"paths.store={store}")
    each = [("loss=nll", 0), ("loss=nll", 1), ("loss=nll_entropy", 0), ("loss=nll_entropy", 1)]
    configs = [resolved(composed(*words, loss, f"seed={seed}")) for loss, seed in each]
    return [trained(place / str(i), config, cache, i) for i, config in enumerate(configs)]


@pytest.fixture(scope="module")
def results(runs, evaluator_of):
    return summarised(evaluator_of(*runs), *runs)


def test_each_set_is_a_domain_and_in_domain_is_their_mean(results):
    """Three images of one set and two of the other, whose means count the same."""
    assert {name: data.n_images for name, data in results.data.items()} == {
        f"in_domain.{FIRST}": 3,
        f"in_domain.{SECOND}": 2,
    }
    arm = results.arms["nll"].domains
    each = [arm[f"in_domain.{name}"].metrics[IG].mean for name in (FIRST, SECOND)]
    assert arm["in_domain"].metrics[IG].mean == pytest.approx(np.mean(each))
    compared = results.comparisons["nll_entropy"].domains
    assert compared["in_domain"].differences["ig_difference_bits"].mean == pytest.approx(
        np.mean([compared[f"in_domain.{name}"].differences["ig_difference_bits"].mean for name in (FIRST, SECOND)])
    )


def test_the_sets_are_named_in_words(results):
    assert tables.domains(results) == {
        "in_domain": "in domain, mean of 2 sets",
        f"in_domain.{FIRST}": f"in domain ({FIRST})",
        f"in_domain.{SECOND}": f"in domain ({SECOND})",
    }
    assert tables.main_first(results)[0] == "in_domain"


def test_a_run_is_read_with_its_sets(runs, composed, store):
    run = read(runs[0].folder, resolved(composed("task=evaluate", "hardware=cpu", f"paths.store={store}")), [])
    assert run.config.sets == runs[0].config.sets and run.config.data is run.config.sets[FIRST]
    predicting = finished(runs[0].folder, saved(runs[0].folder, loads_data=False)).config
    assert [*predicting.sets] == [FIRST, SECOND] and predicting.data.long_side_px == 96
    assert {type(settings) for settings in predicting.sets.values()} == {Data}  # whatever their sources


def test_what_changed_in_one_of_the_sets_is_named(runs):
    recorded = changed_sets.recorded(runs[0].folder, runs[0].state["fingerprints"])
    assert [*recorded] == [f"sets.{FIRST}", f"sets.{SECOND}"]
    text = runs[0].folder.fingerprints.read_text()
    runs[0].folder.fingerprints.write_text(text.replace(f"sets.{SECOND}", "sets.other"))
    with pytest.raises(DataError, match="it was changed after the training"):
        changed_sets.recorded(runs[0].folder, runs[0].state["fingerprints"])
    runs[0].folder.fingerprints.write_text(text)
