"""kill -9 at any moment of a study, and the same command again: it goes on to the same bits."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image

from tests import published_sets
from tests.io.server import serving
from tests.miniature import PREDICT, TRAIN, Miniature, differences
from tests.warm import Run

STORE = ("task=prepare", *(word for word in TRAIN if not word.startswith(("trainer", "loss", "study"))), "study=built")
IMPORT = (
    "task=import",
    "data=folder",
    "data.root=lab",
    "data.file=recorded.csv",
    "data.columns={image: pic}",
    "data.frame={origin: top_left, of: image, index_base: 0}",
    "study=imported",
)
SEED = int(os.environ.get("KILL_SEED", "0"))
KILLS = 100  # at least
MOST = 7  # kills of one command until it is let through
# half of the kills come at random moments, the others when one of these appears
APPEARING = {
    "train": (
        "outputs/run/owner.json",
        "store/synthetic/*.partial",
        "store/features/*.partial",
        "store/features/*/checksums.bin",
        "store/features/*/recipe.json",
        "store/center_bias/*/.*.tmp",
        "store/center_bias/*/*.bin",
        "outputs/run/.hydra/config.yaml",
        "outputs/run/plan.json",
        "outputs/run/checkpoints/.epoch*.tmp",
        "outputs/run/checkpoints/epoch_001.pt",
        "outputs/run/checkpoints/.last*.tmp",
        "outputs/run/checkpoints/last.pt",
        "outputs/run/checkpoints/epoch_002.pt",
        "outputs/run/metrics.csv",
        "outputs/run/figures/.*.tmp",
        "outputs/run/figures/predictions.png",
        "outputs/run/checkpoints/.final*.tmp",
        "outputs/run/checkpoints/final.pt",
    ),
    "evaluate": (
        "outputs/judged/owner.json",
        "outputs/judged/.hydra/config.yaml",
        "store/features/*.partial",
        "outputs/judged/per_image.csv",
        "outputs/judged/comparisons.csv",
        "outputs/judged/.bias_maps*.tmp",
        "outputs/judged/provenance.json",
        "outputs/judged/results.json",
        "outputs/judged/.report*.tmp",
        "outputs/judged/report.html",
    ),
    "predict": (
        "outputs/predicted/owner.json",
        "outputs/predicted/provenance.json",
        "outputs/predicted/pictures/.*.tmp",
        "outputs/predicted/log_densities/.*.tmp",
        "outputs/predicted/log_densities/*.npz",
        "outputs/predicted/predictions.csv",
        "outputs/predicted/.log_densities*.tmp",
        "outputs/predicted/SHA256SUMS",
        "outputs/predicted/done.txt",
        "store/image_hashes",
    ),
    "import": (
        "outputs/imported/owner.json",
        "lab/fixations.csv.owner",
        "lab/.dataset.yaml.*.tmp",
        "lab/dataset.yaml",
        "lab/.fixations.csv.*.tmp",
        "lab/fixations.csv",
        "outputs/imported/done.txt",
    ),
    "store": (
        "outputs/built/owner.json",
        "store/synthetic/*.owner",
        "store/synthetic/*.partial",
        "store/features/*.owner",
        "store/features/*.partial",
        "store/features/*/checksums.bin",
        "store/features/*/.recipe.json.*.tmp",
        "store/features/*/recipe.json",
        "outputs/built/done.txt",
    ),
    "prepare": (
        "data/MIT1003/*.owner",
        "data/MIT1003/.*.unfinished",
        "data/MIT1003/.*.unfinished/part",
        "data/MIT1003/ALLSTIMULI.zip",
        "data/MIT1003/.*.unpacking",
        "data/MIT1003/*.sha256",
        "data/MIT1003/ALLFIXATIONMAPS",
        "data/CAT2000/*.owner",
        "data/CAT2000/.*.unfinished",
        "data/CAT2000/trainSet",
        "store/features/*.partial",
        "store/features/*/recipe.json",
        "outputs/prepared/done.txt",
    ),
}


def wait_for(run: Run, folder: Path, pattern: str) -> None:
    """Until something that was not there matches, or the run has ended."""
    before = set(folder.glob(pattern))
    while not set(folder.glob(pattern)) - before and not run.has_ended():
        time.sleep(0.0005)


def kill_until_through(
    study: Miniature, commands: Sequence[str], kills: int, most: int, begin: Callable[[], None]
) -> Counter[str]:
    """Studies, each from the beginning to the same bits, until there were so many kills: kills by what they came at.

    begin: makes what is there before the first command
    """
    whole_s = {}
    begin()
    for command in commands:
        started = time.monotonic()
        study.run(command)
        whole_s[command] = time.monotonic() - started
    expected = study.content()
    draw, count = random.Random(SEED), Counter[str]()
    appearing = {command: draw.sample(APPEARING[command], len(APPEARING[command])) for command in commands}
    while sum(count.values()) < kills:
        begin()
        for command in commands:
            killed, epochs = 0, study.epochs_kept()
            while True:
                run = study.start(command)
                at = "a random moment"
                if killed == most:
                    at = "the end"
                elif draw.random() < 0.5:
                    run.has_ended(within_s=draw.uniform(0, whole_s[command]))
                else:
                    at = appearing[command].pop(0)
                    appearing[command].append(at)
                    wait_for(run, study.folder, at)
                if at != "the end":
                    run.kill()
                code = run.end()
                if code == 0:
                    break
                assert code == -9, f"seed {SEED}, after {count}:\n{run.output}"
                killed += 1
                count[at] += 1
                epochs_before, epochs = epochs, study.epochs_kept()
                assert epochs >= epochs_before, f"seed {SEED}, after {count}: a checkpoint is lost"
        assert differences(study.content(), expected) == [], f"seed {SEED}, after {count}"
    return count


def tell(capsys: pytest.CaptureFixture[str], what: str, count: Counter[str]) -> None:
    with capsys.disabled():
        print(f"\nkills of {what}: {sum(count.values())}, seed {SEED}")
        for at, number in count.most_common():
            print(f"  {number:3d} at {at}")


@pytest.mark.slow
def test_killed_at_any_moment_a_study_goes_on_to_the_same_bits(study, capsys):
    commands = "train", "evaluate"
    count = kill_until_through(study, commands, KILLS, MOST, study.empty)
    tell(capsys, " and ".join(commands), count)
    assert len(count) > len(APPEARING["train"])


@pytest.fixture(scope="module")
def tasks(tmp_path_factory) -> Iterator[Miniature]:
    """What predicts, imports, builds a store and prepares."""
    archives = published_sets.archives()
    with serving(dict(archives)) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        words = published_sets.task_words(server.address, archives, ".")
        prepare = (*words, "hardware.threads=1", "model.backbone.weights=null", "study=prepared")
        commands = {"train": TRAIN, "predict": PREDICT, "import": IMPORT, "store": STORE, "prepare": prepare}
        with Miniature(tmp_path_factory.mktemp("tasks"), commands) as study:
            yield study


def record_eyes(lab: Path) -> None:
    """Three pictures, and what somebody's tracker recorded on them."""
    (lab / "stimuli").mkdir(parents=True)
    rows = ["pic;person;x;y;start;duration"]
    for i in range(3):
        Image.new("L", (64, 48)).save(lab / f"stimuli/{i}.png")
        rows += [f"{i};p{person};{5 * k + i};{3 * k + person};{300 * k};200" for person in range(2) for k in range(9)]
    (lab / "recorded.csv").write_text("\n".join(rows))


@pytest.mark.slow
@pytest.mark.parametrize("command", ["predict", "import", "store", "prepare"])
def test_killed_at_any_moment_a_task_goes_on_to_the_same_bits(tasks, command, capsys):
    tasks.empty()
    if command == "predict":
        tasks.run("train")
        tasks.take_photos(3)
    if command == "import":
        record_eyes(tasks.folder / "lab")
    tasks.keep()
    count = kill_until_through(tasks, [command], KILLS, MOST, tasks.bring_back)
    tell(capsys, command, count)
    assert len(count) > len(APPEARING[command]) // 2
