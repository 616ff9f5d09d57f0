"""Each kind of silent change to a finished sweep, its evaluation and its prediction is named or refused."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from PIL import Image

from entreg.cli import composition
from entreg.config import Config
from entreg.config.settings import resolved
from entreg.data import image_hashes
from entreg.errors import DataError, UserError
from entreg.features.vgg19 import Vgg19Taps
from entreg.io import digests
from entreg.runs.folder import RunFolder
from entreg.study.finished_run import finished, saved
from entreg.tasks.evaluate import evaluate
from entreg.tasks.predict import predict
from entreg.tasks.train import train
from entreg.tasks.verify import verify
from tests.conftest import ROOT
from tests.evaluation.photos import name_of, words, write_set
from tests.unpainted import paint_nothing

MADE = "outputs/judged", "outputs/predicted"
Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def composed() -> Iterator[Callable[..., Config]]:
    composition.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield lambda *typed: resolved(compose("config", list(typed)))


@pytest.fixture(scope="module")
def kept(composed, tmp_path_factory) -> Iterator[tuple[Path, Path]]:
    """Where a sweep of two arms, its evaluation and its prediction are, and a copy of all that."""
    place = tmp_path_factory.mktemp("place") / "now"
    threads = torch.get_num_threads()
    write_set(place / "own", range(12))
    write_set(place / "foreign", range(100, 122))
    shutil.copytree(place / "foreign/stimuli", place / "photos", ignore=lambda _, names: sorted(names)[2:])
    common = [*words(place, place / "store"), "trainer.epochs=1", "trainer.batch_size=6", "study=s"]
    with pytest.MonkeyPatch.context() as patch:
        paint_nothing(patch)
        for number, loss in enumerate(("nll", "nll_entropy")):
            perform(train, composed, place / f"sweep/{number}", *common, f"loss={loss}")
        on = "hardware=cpu", "hardware.threads=1", f"paths.store={place}/store", "study=m"
        perform(evaluate, composed, place / MADE[0], "task=evaluate", f"runs={place}/sweep", *on)
        asked = f"run={place}/sweep/1", f"images={place}/photos", "prediction.pictures=false"
        perform(predict, composed, place / MADE[1], "task=predict", *asked, *on)
    shutil.copytree(place, place.with_name("kept"))
    yield place, place.with_name("kept")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def place(kept, monkeypatch) -> Path:
    """The same, as it was at first."""
    now, copy = kept
    shutil.rmtree(now)
    shutil.copytree(copy, now)
    monkeypatch.chdir(now)
    return now


def perform(task, composed, folder: Path, *typed: str) -> RunFolder:
    place = RunFolder(folder)
    place.write_typed(typed, "")
    task(composed(*typed), place)
    return place


@pytest.fixture
def said(composed, place) -> Callable[[], str]:
    """said(): what a verification of the sweep says differs; nothing where all is as it was."""

    def of() -> str:
        try:
            perform(verify, composed, place / "outputs/verified", "task=verify", "runs=sweep", "study=v")
        except UserError as error:
            return str(error)
        return ""

    return of


def picture(folder: str, seed: int) -> Callable[[Path], Path]:
    return lambda place: place / folder / "stimuli" / name_of(seed)


IMAGES = {"training": picture("own", 0), "validation": picture("own", 10), "foreign": picture("foreign", 105)}


def append_byte(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def flip(path: Path, at: float = 0.5) -> None:
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 1
    path.write_bytes(content)


def grey(path: Path, scale: int = 1) -> None:
    with Image.open(path) as image:
        size = image.width // scale, image.height // scale
    Image.new("RGB", size, (128, 128, 128)).save(path)


def exchange(path: Path) -> None:
    """The picture and the one after it take each other's place."""
    other = path.with_name(name_of(int(path.stem) + 1))
    first, second = path.read_bytes(), other.read_bytes()
    path.write_bytes(second)
    other.write_bytes(first)


def table(edit: Callable[[list[list[str]]], None], folder: str = "foreign") -> Change:
    def change(place: Path) -> None:
        path = place / folder / "fixations.csv"
        rows = list(csv.reader(path.read_text().splitlines()))
        edit(rows)
        path.write_text("\n".join(map(",".join, rows)))

    return change


def digit(name: str, pattern: str, by: str) -> Change:
    """One place in a text file is another."""

    def change(place: Path) -> None:
        text, count = re.subn(pattern, by, (place / name).read_text(), count=1)
        assert count == 1
        (place / name).write_text(text)

    return change


def of_file(change: Callable[[Path], None], name: str) -> Change:
    return lambda place: change(place / name)


def other_checkpoint(place: Path) -> None:
    shutil.copy(place / "sweep/0/checkpoints/final.pt", place / "sweep/1/checkpoints/final.pt")


def new_plan(place: Path) -> None:
    """A plan that agrees with its own checksum."""
    folder = RunFolder(place / "sweep/1")
    config = resolved_of(folder)
    folder.plan.unlink()
    config.evaluation.primary.domain = "in_domain"
    folder.write_plan(config)


def resolved_of(folder: RunFolder) -> Config:
    return finished(folder, saved(folder)).config


KINDS: dict[str, tuple[Change, str]] = {
    **{
        f"{kind} of a {role} image": (lambda place, at=at, change=change: change(at(place)), said)
        for role, at in IMAGES.items()
        for kind, change, said in (
            ("byte", append_byte, r"1 of \d\d images has other content"),
            ("content", grey, r"1 of \d\d images has other content"),
            ("size", lambda path: grey(path, 2), r"1 of \d\d images has other content"),
            ("order", exchange, r"2 of \d\d images have other content"),
            ("name", lambda path: path.rename(path.with_name("z.jpg")), r"fixations.csv.*\d\d\d.jpg"),
        )
    },
    "row added": (table(lambda rows: rows.append(["105.jpg", "7", "8"])), r"265 fixations instead of 264 \(on 105"),
    "row removed": (table(lambda rows: rows.pop(), "own"), r"143 fixations instead of 144 \(on 011.jpg\)"),
    "row moved": (table(lambda rows: rows[5].__setitem__(1, "9.5"), "own"), r"144 fixations, other ones \(on 000.jpg"),
    "another table": (
        lambda place: shutil.copy(place / "own/fixations.csv", place / "foreign/fixations.csv"),
        r"fixations.csv.*\d\d\d.jpg",
    ),
    "config": (digit("sweep/0/.hydra/config.yaml", "lr: 0.001", "lr: 0.002"), "optim.lr is not what final.pt was"),
    "provenance": (digit("sweep/0/provenance.json", '"run": 0', '"run": 1'), "provenance.json was changed"),
    "overrides": (digit("sweep/1/.hydra/overrides.yaml", "epochs=1", "epochs=2"), "overrides.yaml was changed"),
    "plan": (new_plan, "plan.json was changed"),
    "fingerprints": (digit("sweep/0/fingerprints.json", '": "12 ', '": "13 '), "fingerprints.json was changed"),
    "priors": (of_file(flip, "sweep/0/center_bias.npz"), "center_bias.npz was changed"),
    "checkpoint": (of_file(flip, "sweep/0/checkpoints/final.pt"), "final.pt: cannot be read"),
    "another checkpoint": (other_checkpoint, "sweep/1"),
    "results": (digit("outputs/judged/results.json", '"n_images": 3', '"n_images": 4'), "results.json was changed"),
    "page": (digit("outputs/judged/report.html", "nll", "nII"), "report.html was changed"),
    "evaluation's provenance": (
        digit("outputs/judged/provenance.json", '"folds": 0', '"folds": 1'),
        "provenance.json was changed",
    ),
    "predicted map": (of_file(flip, "outputs/predicted/log_densities/100.jpg.npz"), "100.jpg.npz was changed"),
}


def test_a_finished_sweep_and_what_was_made_of_it_are_as_they_were(said, caplog):
    caplog.set_level("INFO")
    assert said() == ""
    assert "2 runs and 2 evaluations and predictions of them: nothing differs" in caplog.text


# those that are tried each time, one for each way in which a change is noticed
QUICK = "byte of a validation image", "row removed", "config", "provenance", "checkpoint", "results", "predicted map"


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind in QUICK else [pytest.mark.slow]) for kind in KINDS]
)
def test_each_kind_of_silent_change_is_named(place, said, kind):
    change, expected = KINDS[kind]
    change(place)
    assert re.search(expected, said(), re.DOTALL)


@pytest.fixture
def hashed(monkeypatch) -> Callable[..., Counter[str]]:
    """hashed(task, ...): performs a task; how many image files of each folder were read to be hashed."""
    monkeypatch.setattr(image_hashes, "SETTLED_NS", 0)
    paint_nothing(monkeypatch)
    count, sums = Counter[str](), digests.sha256_of_each

    def counting(paths: Iterable[Path]) -> list[str]:
        paths = list(paths)
        count.update(path.parent.parent.name for path in paths if path.suffix == ".jpg")
        return sums(paths)

    monkeypatch.setattr(digests, "sha256_of_each", counting)

    def of(task, composed, folder: Path, *typed: str) -> Counter[str]:
        count.clear()
        perform(task, composed, folder, *typed)
        return Counter(count)

    return of


def test_every_byte_is_read_where_something_is_judged_and_elsewhere_of_files_that_may_have_changed(
    place, composed, hashed
):
    every = {"own": 12, "foreign": 22}
    common = [*words(place, place / "store"), "trainer.epochs=1", "trainer.batch_size=6"]
    on = "hardware=cpu", "hardware.threads=1", f"paths.store={place}/store", "study=m"
    asked = "task=predict", f"run={place}/sweep/1", f"images={place}/photos", "prediction.pictures=false"
    assert hashed(train, composed, place / "new/0", *common, "study=new/0") == every
    assert hashed(train, composed, place / "new/1", *common, "study=new/1") == {}
    assert hashed(predict, composed, place / "outputs/p", *asked, *on) == {"now": 2}
    assert hashed(predict, composed, place / "outputs/p", *asked, *on) == {}
    append_byte(IMAGES["foreign"](place))
    (place / "photos" / name_of(100)).touch()
    assert hashed(train, composed, place / "new/2", *common, "study=new/2") == {"foreign": 1}
    assert hashed(predict, composed, place / "outputs/p", *asked, *on) == {"now": 1}
    assert hashed(evaluate, composed, place / "outputs/e", "task=evaluate", f"runs={place}/new/2", *on) == every
    assert hashed(verify, composed, place / "outputs/v", "task=verify", f"runs={place}/new/2", "study=v") == every


def test_other_weights_of_the_backbone_are_named(said, monkeypatch):
    monkeypatch.setattr(Vgg19Taps, "fingerprint", lambda self: "0" * 64)
    assert "sweep/0: the backbone's weights are not those that it was trained with" in said()


def test_features_that_were_changed_are_refused_when_they_are_read(place, composed, monkeypatch):
    paint_nothing(monkeypatch)
    for path in place.glob("store/features/*/*x*.bin"):
        flip(path)
    on = "hardware=cpu", "hardware.threads=1", f"paths.store={place}/store", "study=m"
    with pytest.raises(DataError, match=r"the features of .* are damaged \(checksum\)"):
        perform(evaluate, composed, place / "outputs/again", "task=evaluate", "runs=sweep", *on)


def test_an_evaluation_stands_for_its_runs(place, composed):
    judged = place / MADE[0]
    made_of = json.loads((judged / "provenance.json").read_text())[-1]["runs"]
    assert made_of == {str(place / f"sweep/{i}"): digests.sha256(RunFolder(place / f"sweep/{i}").final) for i in (0, 1)}
    typed = "task=verify", f"runs={judged}", "study=v"
    place_of = perform(verify, composed, place / "outputs/verified", *typed)
    assert place_of.done.is_file() and yaml.safe_load(place_of.typed.read_text()) == list(typed)
    append_byte(IMAGES["foreign"](place))
    with pytest.raises(UserError, match=r"2 runs and 2 evaluations and predictions of them: 2 differences\n  "):
        perform(verify, composed, place / "outputs/verified", *typed)
