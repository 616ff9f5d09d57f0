"""Files that are read back, with damaged bytes and with other content than they are for."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from hypothesis import strategies as st

from entreg.config import Backbone
from entreg.data.sources import synthetic
from entreg.distributed.ranks import Ranks
from entreg.features.backbone import build
from entreg.features.store import FeatureStore
from entreg.io import files, tensors
from entreg.priors.center_bias import leave_one_out_maps
from entreg.priors.kde import FixationKde
from tests.features.pictures import Pictures, opened, recipe
from tests.fuzz.driver import outcome, tried
from tests.fuzz.mutations import TENSORS, VALUES, damaged, damaged_tree
from tests.fuzz.sources import write_synthetic

Drive = Callable[..., None]
STATE = {
    "model": {"weight": torch.arange(6.0).view(2, 3), "bias": torch.zeros(2)},
    "epoch": 3,
    "history": [{"lr": 0.1}],
}
PLAIN = {"task": {"name": "train", "devices": 1}, "data": {"root": None, "sides": [1, 2.5]}, "note": "a: b # c"}


def saved(content: Any, zipped: bool = True) -> bytes:
    """A file of tensors."""
    made = io.BytesIO()
    torch.save(content, made, _use_new_zipfile_serialization=zipped)
    return made.getvalue()


@tried(60, 1000)
def test_a_damaged_file_of_tensors(tmp_path: Path, drive: Drive, count: int) -> None:
    """Where something is read, it is what was written, or from before files had checksums."""
    path = tmp_path / "a.pt"

    def check(case: tuple[bool, bytes]) -> str:
        zipped, content = case
        path.write_bytes(content)

        def read() -> None:
            found = tensors.read(path)
            if zipped:
                assert found.keys() <= STATE.keys()
                assert found.get("epoch", 3) == 3 and torch.equal(found["model"]["weight"], STATE["model"]["weight"])

        return outcome(read, str(path))

    kinds = {True: saved(STATE), False: saved(STATE, zipped=False)}
    zipped = st.sampled_from((True, True, False))
    drive(count, zipped.flatmap(lambda kind: st.tuples(st.just(kind), damaged(kinds[kind]))), check)


@tried(60, 1000)
def test_a_damaged_file_of_a_run(tmp_path: Path, drive: Drive, count: int) -> None:
    def check(case: tuple[str, bytes]) -> str:
        suffix, content = case
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(content)
        return outcome(lambda: {"yaml": files.read_yaml, "json": files.read_json}[suffix](path) and None, str(path))

    whole = {"yaml": yaml.safe_dump(PLAIN).encode(), "json": json.dumps(PLAIN, indent=2).encode()}
    suffixes = st.sampled_from(sorted(whole))
    drive(count, suffixes.flatmap(lambda one: st.tuples(st.just(one), damaged(whole[one], words=True))), check)


@tried(30, 300)
def test_a_damaged_store_of_features(tmp_path: Path, drive: Drive, count: int) -> None:
    images, made_by = Pictures(tmp_path, [(32, 48), (48, 32)]), recipe()
    store = opened(tmp_path, images, made_by)
    expected = [store[i].clone() for i in range(2)]
    whole = {path: path.read_bytes() for path in sorted(store.folder.glob("*.bin"))}
    assert len(whole) == 3

    def read() -> None:
        found = FeatureStore(store.folder, images, made_by)
        assert all(torch.equal(found[i], one) for i, one in enumerate(expected))

    def check(case: tuple[Path, bytes]) -> str:
        path, content = case
        path.unlink()
        path.write_bytes(content)
        try:
            return outcome(read, str(store.folder))
        finally:
            path.unlink()
            path.write_bytes(whole[path])

    one = st.sampled_from(sorted(whole)).flatmap(lambda path: st.tuples(st.just(path), damaged(whole[path])))
    drive(count, one, check)


@tried(30, 300)
def test_damaged_maps_of_centre_biases(tmp_path: Path, drive: Drive, count: int) -> None:
    random = np.random.default_rng(0)
    kde = FixationKde(random.random(20), random.random(20), np.repeat(np.arange(4), 5), 0.05, 1e-15)
    arguments = kde, "key", list(range(4)), [(24, 32)] * 4, 4, tmp_path, Ranks()
    expected = np.array(leave_one_out_maps(*arguments))
    (path,) = tmp_path.rglob("*.bin")
    whole = path.read_bytes()

    def read() -> None:
        assert np.array_equal(leave_one_out_maps(*arguments), expected)

    def check(content: bytes) -> str:
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        return outcome(read, str(path))

    drive(count, damaged(whole), check)


@tried(40, 400)
def test_a_drawn_set_that_holds_other_arrays(tmp_path: Path, drive: Drive, count: int) -> None:
    settings = write_synthetic(tmp_path)
    (path,) = tmp_path.glob("*/set.npz")
    with np.load(path) as found:
        whole = dict(found)

    def check(arrays: dict[str, Any]) -> str:
        np.savez(path, **{str(name).replace("/", "_") or "x": np.asarray(one) for name, one in arrays.items()})
        # other checksums make an image look damaged
        return outcome(
            lambda: [v for k, v in vars(synthetic.load(settings).fixations).items() if v is not None], str(path.parent)
        )

    others = st.sampled_from(
        [
            np.zeros(0),
            np.zeros(24),
            np.full(24, 10**6),
            np.full(24, -1),
            np.full(24, np.nan),
            np.array(3),
            np.ones((4, 2)),
            np.zeros((4, 2), int),
            np.array(["a"] * 24),
            np.full(24, 1j),
            np.arange(24) > 3,
            *whole.values(),
        ]
    )
    some = st.dictionaries(st.sampled_from([*whole, "more"]), others, min_size=1, max_size=3)
    losing = st.lists(st.sampled_from([*whole]), max_size=1)
    drive(
        count,
        st.tuples(some, losing).map(
            lambda case: {name: one for name, one in (whole | case[0]).items() if name not in case[1]}
        ),
        check,
    )


@tried(40, 300)
def test_weights_of_anything(tmp_path: Path, drive: Drive, count: int) -> None:
    backbone, path = Backbone(taps=["conv1_2"], weights=str(tmp_path / "weights.pth")), tmp_path / "weights.pth"
    random = build(Backbone(taps=["conv1_2"]), 2, "").layers.state_dict()
    names = {f"conv1_{1 + i // 2}": f"features.{i}" for i in (0, 2)}
    whole = {f"{names[name.split('.')[0]]}.{name.split('.')[1]}": one for name, one in random.items()}

    def check(content: Any) -> str:
        torch.save(content, path)
        return outcome(lambda: build(backbone, 2, "").layers.state_dict(), str(path))  # noqa: PLW0108 (build may refuse)

    drive(count, damaged_tree(whole, TENSORS + tuple(v for v in VALUES if v != "\ud7ff")), check)
