"""The figures: what each means, its aim, and whether it is reached; as lines for a terminal, and as README's table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- figures of make bench -->\n", "<!-- end of figures -->\n"
# key, meaning, sign and bound (None: reported without one)
TABLE = (
    ("train_step_speedup", "training step: times faster than the published one", ">=", 500),
    ("train_ms_per_image", "  from the store, ms per image", "", None),
    ("reference_ms_per_image", "  as published, batch 4, ms per image", "", None),
    ("backbone_share_percent", "  the backbone's share of the published step, %", "", None),
    ("train_step_speedup_against_fastest_backbone", "  against the backbone's fastest format and precision", "", None),
    ("backbone_bfloat16_ratio", "backbone in bfloat16: share of its time in float32", "<=", 0.25),
    ("backbone_s_per_image", "  in float32, seconds an image", "", None),
    ("store_bytes_ratio", "bytes of a store: share of those of all channels", "<=", 0.81),
    ("compiled_step_ratio", "step of one run alone, compiled: share of PyTorch's time", "<=", 0.36),
    ("compiled_six_together_ratio", "  six runs together", "<=", 0.5),
    ("compiled_entropy_added_ratio", "  what the entropy term adds in every batch", "<=", 0.36),
    ("log_density_max_abs_diff_nats", "log density: greatest difference, nats", "<=", 1e-5),
    ("gradient_max_rel_diff", "gradients: greatest relative difference", "<=", 1e-3),
    ("store_precision_ig_diff_bits", "IG changed by a float16 store, bit/fixation", "<=", 0.002),
    ("entropy_overhead_every10_percent", "entropy term every 10 batches, % of a step", "<=", 10),
    ("entropy_overhead_every1_percent", "entropy term every batch, % of a step", "<=", 60),
    ("store_build_efficiency", "building the store: share of the backbone's rate", ">=", 0.8),
    ("store_build_efficiency_against_direct_convolution", "  against the backbone's by direct convolution", "", None),
    ("shared_entreg_alone_of_libgomp", "training: share of its speed where waiting threads spin as ever", ">=", 0.95),
    ("shared_entreg_kept", "  beside two busy processes: share of its speed alone", ">=", 0.45),
    ("shared_libgomp_kept", "  the same where waiting threads spin as ever", "", None),
    ("shared_asleep_kept", "  the same where waiting threads sleep at once", "", None),
    ("shared_asleep_alone_of_libgomp", "  where they sleep at once, alone: share of where they spin as ever", "", None),
    ("table_ratio", "reading a table of fixations: share of reading it row by row", "<=", 0.35),
    ("table_s_per_million_rows", "  seconds per million rows of six columns", "", None),
    ("table_bytes_per_value", "  memory, bytes per value that is kept", "<=", 16),
    ("preview_s", "task=preview of a thousand images, s", "<=", 10),
    ("fingerprints_s", "fingerprint of 20,000 images of 70 kB, every byte read, s", "<=", 1.5),
    ("fingerprints_known_s", "  where their files did not change, s", "", None),
    ("train_rss_gb", "anonymous memory of a training, GB", "<=", 2),
    ("beyond_memory_store_gb", "a store larger than the memory, GB", "", None),
    ("beyond_memory_rss_gb", "  anonymous memory of its training, GB", "<=", 2),
    ("beyond_memory_ms_per_image", "  read from the disk, ms per image", "", None),
    ("against_alone", "step of one run alone: share of commit ae4a8f4's", "<=", 0.36),
    ("against_six", "  six runs together", "<=", 0.5),
    ("against_eighteen", "  eighteen runs together", "<=", 0.45),
    ("against_entropy", "  what the entropy term adds in every batch", "<=", 0.36),
    ("against_table", "  reading a table of a million fixations", "<=", 0.35),
    ("against_help", "  train.py --help", "<=", 0.6),
    ("against_tiny_training", "  a tiny training", "<=", 0.7),
    ("against_one_photo", "  predicting one photo", "<=", 0.6),
    ("against_photos", "  predicting 24 photos, with pictures", "<=", 0.55),
    ("against_finished_sweep", "  a finished sweep of 60 runs, given again", "<=", 0.4),
    ("against_evaluation", "  an evaluation of 60 runs with the ladder", "<=", 0.5),
    ("against_gold", "  the gold standard of a million fixations", "<=", 0.1),
    ("against_study", "  a study at MIT1003's size, both arms and evaluation", "<=", 0.75),
    ("against_study_bfloat16", "  the same with the backbone in bfloat16", "<=", 0.4),
    ("against_study_memory", "  anonymous memory of that study", "<=", 1),
    ("study_minutes", "study of 1003 + 50 images, both arms together, minutes", "<=", 9.5),
    ("study_beyond_store_percent", "  share of its epochs and its evaluation, %", "<=", 20),
    ("study_rss_anon_gb", "  anonymous memory of its trainings and of building its store, GB", "", None),
    ("next_run_minutes", "a further run on the same data, minutes", "<=", 3),
)


def lines(figures: Mapping[str, Any]) -> str:
    """Return a line for each figure, with its aim and whether it is reached."""
    found = []
    for key, meaning, sign, bound in TABLE:
        if key in figures:
            aim = "" if bound is None else f"{sign} {bound:g}".ljust(10)
            said = {True: "reached", False: "NOT REACHED", None: ""}[_reached(figures[key], sign, bound)]
            found.append(f"{meaning:<66} {figures[key]:>10.4g}  {aim}{said}".rstrip())
    return "\n".join(found)


def missed(figures: Mapping[str, Any]) -> list[str]:
    """Return what the figures that fall short of their aims mean."""
    return [
        f"{meaning.strip()}: {figures[key]:.3g} ({sign} {bound:g})"
        for key, meaning, sign, bound in TABLE
        if key in figures and _reached(figures[key], sign, bound) is False
    ]


def write_markdown(path: Path, figures: Mapping[str, Any]) -> None:
    """Write a table of the figures that have aims between the two marks of a page."""
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, mark, after = rest.partition(END)
    assert mark, f"{path} has no marks {BEGIN.strip()} and {END.strip()}"
    rows = "".join(_rows(figures))
    path.write_text(f"{before}{BEGIN}| figure | measured | aim |\n|---|---|---|\n{rows}{END}{after}", encoding="utf-8")


def _rows(figures: Mapping[str, Any]) -> Iterator[str]:
    for key, meaning, sign, bound in TABLE:
        if key in figures and bound is not None:
            said = "" if _reached(figures[key], sign, bound) else ": missed"
            yield f"| {meaning.strip()}{said} | {figures[key]:.3g} | {sign} {bound:g} |\n"


def _reached(value: float, sign: str, bound: float | None) -> bool | None:
    if bound is None:
        return None
    return value <= bound if sign == "<=" else value >= bound
