"""The classes of results.json."""

from __future__ import annotations

import dataclasses
import typing

import pytest

from entreg.results import schema
from entreg.results.schema import FOREIGN, IN_DOMAIN, Plan

CLASSES = [kind for kind in vars(schema).values() if dataclasses.is_dataclass(kind)]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_mappings_that_a_class_spreads_can_be_told_apart_when_they_are_read(kind):
    """One of objects and one of plain values at the most."""
    annotations = typing.get_type_hints(kind)
    objects = [dataclasses.is_dataclass(typing.get_args(annotations[name])[1]) for name in getattr(kind, "spread", ())]
    assert len(set(objects)) == len(objects)


def test_a_mean_over_one_planned_set_is_that_set():
    one = Plan("a", FOREIGN, "nss", ["lab"], [], None)
    assert one.tested == {"ood", "ood.lab"} == dataclasses.replace(one, domain="ood.lab").tested
    assert dataclasses.replace(one, planned=["lab", "web"]).tested == {"ood"}
    assert dataclasses.replace(one, domain=IN_DOMAIN).tested == {"in_domain"}
