"""Published numbers for orientation, each with its source and with why it is not this study's number."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reported:
    """The numbers of a publication; None where it does not report the metric.

    ig: bit/fixation over the prior named in `prior`; differs: how its data, prior, split and method differ from here
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
        "This is the prior itself, so its gain is 0 by definition; over the uniform density it is about 0.91 "
        "bit/fixation. The split is that of data=mit1003.",
    ),
    Reported(
        "DeepGaze MSDB, spatial",
        MIT1003_FOLD,
        "KDE",
        "1.239",
        "0.902",
        "2.76",
        *SCANPATH_EXPERIMENTS,
        "It uses other, newer backbones and several scales, was trained on several data sets, and does not stretch "
        "images to one size (which alone is worth about 0.024 bit). The split is that of data=mit1003.",
    ),
    Reported(
        "DeepGaze III with scanpath history, component 0",
        MIT1003_FOLD,
        "KDE",
        "1.466",
        "0.913",
        "3.07",
        *SCANPATH_EXPERIMENTS,
        "It knows where the observer has just looked, which a spatial model does not, so it cannot be compared.",
    ),
    Reported(
        "DeepGaze MSDB, spatial",
        OSIE,
        "KDE",
        "2.261",
        "0.936",
        "3.82",
        *SCANPATH_EXPERIMENTS,
        "It was not trained on OSIE; a study with data=osie learns from OSIE itself and is evaluated on a tenth of it.",
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
        "This is a share of the explainable information gain, not bits; the model was trained on several data sets.",
    ),
    Reported(
        "Models evaluated on a data set that they were not trained on",
        "several data sets",
        "relative",
        "about 40 % lost",
        None,
        None,
        "Kümmerer et al. 2025",
        "https://arxiv.org/abs/2505.10169",
        "This loss is relative to the same model trained on that data set; it does not follow from information gains "
        "on two different data sets as above.",
    ),
)


def comparable(data: str) -> str:
    """Return how a study on the named data set may be compared with the table."""
    if data == "mit1003":
        return (
            "In domain this study uses the same data set and, with the default fold, the same images. Compare its "
            "information gain over the KDE prior, not the one over the Gaussian prior, with the rows that name the KDE "
            "prior."
        )
    return f"In domain this study uses other data ({data}), so none of its numbers can be compared directly with a row."
