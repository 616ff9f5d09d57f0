"""Published numbers for orientation, each with where it comes from and why it is not this study's number."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reported:
    """What a publication reports; None where it does not report the metric.

    ig: bit/fixation over the prior named in `prior`; differs: data, prior, split and what else sets it apart
    """

    model: str
    data: str
    prior: str
    ig: str | None
    auc: str | None
    nss: str | None
    source: str
    link: str
    differs: str


MIT1003_FOLD = "MIT1003, fold 0 of 10: 101 images, 10,527 fixations"
OSIE = "OSIE: 700 images, 87,821 fixations"
SCANPATH_EXPERIMENTS = (
    "DeepGaze repository, experiments/scanpath (2026)",
    "https://github.com/matthias-k/DeepGaze/blob/main/experiments/scanpath/README.md",
)

PUBLISHED = (
    Reported(
        "Centre bias alone (KDE)",
        MIT1003_FOLD,
        "KDE",
        "0",
        "0.800",
        "1.26",
        *SCANPATH_EXPERIMENTS,
        "The prior itself, by definition 0; about 0.91 bit/fixation over the uniform density. The split is that of "
        "data=mit1003.",
    ),
    Reported(
        "DeepGaze MSDB, spatial",
        MIT1003_FOLD,
        "KDE",
        "1.239",
        "0.902",
        "2.76",
        *SCANPATH_EXPERIMENTS,
        "Other and newer backbones, several scales, trained on several data sets, images not stretched to one size "
        "(that alone is worth about 0.024 bit). The split is that of data=mit1003.",
    ),
    Reported(
        "DeepGaze III with scanpath history, component 0",
        MIT1003_FOLD,
        "KDE",
        "1.466",
        "0.913",
        "3.07",
        *SCANPATH_EXPERIMENTS,
        "It knows where the observer has just looked, which a spatial model does not: not comparable.",
    ),
    Reported(
        "DeepGaze MSDB, spatial",
        OSIE,
        "KDE",
        "2.261",
        "0.936",
        "3.82",
        *SCANPATH_EXPERIMENTS,
        "OSIE was not among its training sets; a study with data=osie learns from OSIE itself and is judged on a tenth "
        "of it.",
    ),
    Reported(
        "VGG-19 features; ensemble of DeepGaze IIE",
        "MIT1003",
        "share of the explainable",
        "78 %; 93 %",
        None,
        None,
        "Linardos et al. 2021",
        "https://arxiv.org/abs/2105.12441",
        "A share of the explainable information gain, not bits; trained on more data than one data set's.",
    ),
    Reported(
        "Models judged on a data set that they were not trained on",
        "several data sets",
        "relative",
        "about 40 % lost",
        None,
        None,
        "Kümmerer et al. 2025",
        "https://arxiv.org/abs/2505.10169",
        "A loss relative to the same model trained on that data set; information gains on two different data sets, as "
        "above, do not give it.",
    ),
)


def comparable(data: str) -> str:
    """How a study on the named data set may be held against the table."""
    if data == "mit1003":
        return (
            "In domain this study uses the same data set; with the default fold also the same images. Hold its "
            "information gain over the KDE prior, not the one over the Gaussian prior, against the rows that name the "
            "KDE prior."
        )
    return f"In domain this study uses other data ({data}): no row is comparable number by number."
