"""Words that let a model learn from several small embedded sets."""

from __future__ import annotations

from collections.abc import Sequence

OF_EACH = (
    "images=10",
    "folds=5",
    "long_side_px=96",
    "short_side_px=64",
    "sigma_px=4",
)
NAMES = ("synthetic", "synthetic_ood")


def words(names: Sequence[str] = NAMES, *more: str) -> list[str]:
    """What makes the model learn from these sets, ten images each, of which two are validated on."""
    return [
        f"sets=[{','.join(names)}]",
        *(f"sets.{name}.{word}" for name in names for word in OF_EACH),
        "trainer.batch_size=4",
        "uniform.images=2",
        "model.backbone.taps=[conv1_2,relu2_2]",
        "hardware=cpu",
        "hardware.threads=1",
        *more,
    ]
