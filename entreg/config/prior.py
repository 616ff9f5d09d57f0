"""The settings of the centre priors."""

from __future__ import annotations

from dataclasses import dataclass

from entreg.config.settings import setting


@dataclass
class Prior:
    """The centre priors: baselines of information gain, and the centre bias that the model receives."""

    gaussian_variance: float = setting(
        0.22,
        "variance of x where half the width is 1 (Clarke & Tatler 2014; one source says 0.23)",
        affects="result",
        at_least=0.001,
    )
    gaussian_nu: float = setting(
        0.45, "variance of y over that of x (Clarke & Tatler 2014)", affects="result", at_least=0.001
    )
    kde_bandwidth: float = setting(
        0.021539,
        "bandwidth of the KDE as a share of each side, 10^-1.6667673 (DeepGaze III)",
        affects="result",
        at_least=0.001,
        at_most=1,
    )
    kde_regularisation: float = setting(
        1.3062e-15,
        "weight of a uniform density in the KDE, 10^-14.884 (DeepGaze III)",
        affects="result",
        at_least=1e-30,
        at_most=1,
    )
