"""The settings of a job: rules of single groups, and what is known of them to Hydra's --help."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from entreg.cli.execution import without_hydra
from entreg.config import Config, Data, Download, Evaluation, Hardware, Optim, Primary, PublishedData, Uniform
from entreg.config.settings import settings_of
from entreg.data.sources import sources


@pytest.mark.parametrize(
    "group, names",
    [
        (Data(fold=10), ["fold"]),
        (Data(short_side_px=2000), ["short_side_px"]),
        (Optim(lr_final=1.0), ["lr_final"]),
        (Uniform(levels=[]), ["levels"]),
        (Uniform(levels=[0.5]), []),
        (Evaluation(ig_band_bits=[1.0]), ["ig_band_bits"]),
        (Evaluation(ig_band_bits=[2.0, 1.0]), ["ig_band_bits"]),
        (Evaluation(ig_band_bits=[1.0, 2.0]), []),
        (Primary(domain="elsewhere"), ["domain"]),
        (Primary(domain="ood.scene50"), []),
    ],
)
def test_rules_name_the_setting_that_breaks_them(group, names):
    assert [name for name, _ in group.broken_rules()] == names


def archive(**wrong):
    return Download(**{"address": "http://a.org/set.zip", "holds": "set"} | wrong)


@pytest.mark.parametrize(
    "download, names",
    [
        (archive(), []),
        (archive(address="https://a.org:80/b/c?id=1", holds="a b/c.d", hash=f"md5:{'0a' * 16}"), []),
        (archive(address="ftp://a.org/set.zip"), ["address"]),
        (archive(address="http://a.org/"), ["address"]),
        (archive(address="http://a.org/.."), ["address"]),
        (archive(address="file:///set.zip"), ["address"]),
        (archive(holds="../set"), ["holds"]),
        (archive(holds="/set"), ["holds"]),
        (archive(holds="a/../../b"), ["holds"]),
        (archive(holds=""), ["holds"]),
        (archive(hash="0a" * 16), ["hash"]),
        (archive(hash=f"sha256:{'0a' * 16}"), ["hash"]),
    ],
)
def test_what_is_downloaded_has_an_address_a_place_below_root_and_a_hash_that_can_be_compared(download, names):
    assert [name for name, _ in download.broken_rules()] == names


@pytest.mark.parametrize(
    "images, fixations, said",
    [
        (3, 40, []),
        (2, 40, ["there is not the published set: 2 images instead of 3"]),
        (2, 41, ["there is not the published set: 2 images instead of 3, 41 fixations instead of 40"]),
    ],
)
def test_other_counts_than_the_published_ones_are_said(images, fixations, said):
    assert PublishedData(root="there", expected_images=3, expected_fixations=40).differences(images, fixations) == said
    assert PublishedData().differences(images, fixations) == []


def test_a_foreign_set_goes_by_the_name_under_which_it_stands():
    assert Config(ood={"mylab": Data(name="folder")}).ood["mylab"].name == "mylab"


def test_lists_and_mappings_of_two_configs_are_not_the_same_object():
    config, other = Config(), Config()
    config.optim.milestones.append(0.9)
    config.evaluation.primary.arm["seed"] = 1
    assert other.optim.milestones == [0.2, 0.4, 0.6, 0.8] and "seed" not in other.evaluation.primary.arm


def test_hydras_part_is_left_out_of_a_copy():
    cfg = OmegaConf.create({"hydra": {"a": 1}, "seed": 3})
    assert without_hydra(cfg) == {"seed": 3} and cfg.hydra.a == 1


def test_help_lists_every_setting_with_its_composed_value(command, tmp_path):
    text = command("--help=all", "data.fold=3", folder=tmp_path).stdout
    lines = [line.strip() for line in text.splitlines()]
    for setting in settings_of(Config(hardware=Hardware(), data=sources()["synthetic"]())):
        assert any(line.startswith((f"{setting.key} = ", f"{setting.key}: ")) for line in lines), setting.key
    assert any(line.startswith("data.folds = 5:") and line.endswith("(at least 2, at most 100000)") for line in lines)
    assert any(line.startswith("data.fold = 3:") for line in lines)
    assert any(line.startswith("data.drop_first = true:") for line in lines)  # of a source that is not composed
    assert any(line.startswith("ood.synthetic_ood.seed = 2:") for line in lines)
