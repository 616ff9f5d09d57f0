"""What is judged is what was trained on: what changed since is refused, or named where it was accepted."""

from __future__ import annotations

import dataclasses
import json

import pytest

from entreg.config.settings import resolved
from entreg.distributed.ranks import Ranks
from entreg.errors import UserError
from entreg.evaluation.arms import arms_of
from entreg.evaluation.evaluated_runs import EvaluatedRuns
from entreg.evaluation.evaluation_cache import EvaluationCache
from entreg.evaluation.judged_sets import JudgedSets
from entreg.runs.folder import RunFolder
from entreg.study.study import Study
from tests.evaluation.photos import name_of, trained, words, write_sets

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def place(tmp_path):
    write_sets(tmp_path)
    return tmp_path


@pytest.fixture
def run_of(composed, store, place):
    def build(folder: str = "run", loss: str = "nll"):
        config = resolved(composed(*words(place, store), "study=s", f"loss={loss}"))
        return trained(place / folder, config, EvaluationCache(Ranks()), 1)

    return build


def judged(*runs, accept=()) -> JudgedSets:
    """Of the data as they are now."""
    cache = EvaluationCache(Ranks())
    return JudgedSets([(run, Study(run.config, cache)) for run in runs], accept)


def exchange(path) -> None:
    """Another byte at the end of a file, which no reader of JPEG sees."""
    path.write_bytes(path.read_bytes() + b"\0")


def remove_rows(path, name: str) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith(name)))


def test_unchanged_sets_have_an_identity_and_nothing_to_say(run_of):
    run = run_of()
    found = judged(run)
    assert found.changed == {} and found.unrecorded == {}
    identity = found.identity("ood.foreign")
    assert identity.images == run.state["fingerprints"]["ood.foreign.images"] and not identity.changed


def test_a_byte_of_a_training_a_validation_or_a_foreign_image_is_refused_and_can_be_accepted(run_of, place):
    run = run_of()
    for key, folder, name in (
        ("data", "own", name_of(2)),
        ("data", "own", name_of(10)),
        ("ood.foreign", "foreign", name_of(105)),
    ):
        path = place / folder / "stimuli" / name
        kept = path.read_bytes()
        exchange(path)
        with pytest.raises(UserError) as caught:
            judged(run)
        count = 12 if key == "data" else 22
        words_ = f"1 of {count} images has other content ({name})"
        assert str(caught.value) == (
            f"{run.folder}: the data set {key} ({place / folder}) has changed since the training: {words_}; bring back "
            "what was there, or judge what is there, as exploratory: evaluation.accept=[images]"
        )
        assert judged(run, accept=["images"]).identity(key).changed == [words_]
        path.write_bytes(kept)
    assert judged(run).changed == {}


def test_removed_rows_of_a_foreign_set_are_no_images_that_were_accepted(run_of, place):
    run = run_of()
    remove_rows(place / "foreign/fixations.csv", "101.jpg")
    with pytest.raises(UserError, match=r"252 fixations instead of 264 \(on 101.jpg\).*accept=\[fixations,images\]"):
        judged(run, accept=["images"])
    found = judged(run, accept=["images", "fixations"])
    assert found.why.startswith("the data have changed since the training, which was accepted (ood.foreign: 1 of 22 ")


def test_runs_that_were_trained_on_different_data_are_not_judged_together(run_of, place):
    first = run_of("first")
    exchange(place / "own/stimuli" / name_of(0))
    second = run_of("second", "nll_entropy")
    with pytest.raises(UserError, match=rf"^{second.folder} was trained on other data than {first.folder}, so they"):
        judged(first, second, accept=["images", "fixations"])


def test_a_run_without_fingerprints_is_judged_and_named(run_of, place, caplog):
    """As version 0.2.0 left it: names and fixations of its own set alone are compared."""
    run = run_of()
    old = {key: run.state["fingerprints"][key] for key in ("data", "weights")}
    run = dataclasses.replace(run, state=run.state | {"fingerprints": old})
    RunFolder(run.folder.path).fingerprints.unlink()
    exchange(place / "foreign/stimuli" / name_of(105))
    found = judged(run)
    assert found.identity("ood.foreign").unrecorded == [str(run.folder)] and found.changed == {}
    assert f"ood.foreign: no fingerprint was recorded by {run.folder}" in caplog.text
    remove_rows(place / "own/fixations.csv", "001.jpg")
    with pytest.raises(UserError, match="other contents than are there now: data changed"):
        judged(run)


def test_what_was_accepted_is_in_the_description_of_the_domain(run_of, place):
    run = run_of()
    exchange(place / "foreign/stimuli" / name_of(105))
    runs = EvaluatedRuns(arms_of([run])[0], EvaluationCache(Ranks()), 0, ["images"])
    described = {name: data.identity.changed for name, data in runs.data().items()}
    assert described == {"in_domain": [], "ood.foreign": ["1 of 22 images has other content (105.jpg)"]}
    assert json.dumps(dataclasses.asdict(runs.data()["in_domain"].identity))
