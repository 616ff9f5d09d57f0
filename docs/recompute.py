"""Compute the numbers of an evaluation's page again from the files beside it: python docs/recompute.py FOLDER."""

import csv
import json
import sys
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np

folder, table, worst = Path(sys.argv[1]), {}, {}
results, saved = json.loads((folder / "results.json").read_text()), dict(np.load(folder / "evidence.npz"))
for row in csv.DictReader((folder / "per_image.csv").open(newline="")):
    table.setdefault((row["run"], row["domain"]), []).append(row)


def agree(what, found, stated):
    """Remember how far what was found is from what results.json or per_image.csv states."""
    worst[what] = max(worst.get(what, 0.0), float(np.abs(np.subtract(found, stated)).max()))


def full(key):
    """Return a saved map of log densities: (H, W) nats."""
    return saved[f"{key}/grid"].astype(float).repeat(saved[f"{key}/rows"], 0).repeat(saved[f"{key}/columns"], 1)


def half_interval(sets):
    """Return half the 95 % interval of a mean over sets of (seeds, images), as entreg/evaluation/statistics.py says."""
    n, averages = len(sets[0]), np.mean([d.mean(1) for d in sets], 0)
    images = [(d.mean(0).var(ddof=1) / d.shape[1] / len(sets) ** 2, d.shape[1] - 1) for d in sets]
    seeds = [(averages.var(ddof=1) / n, n - 1)] if n > 1 else [(0.0, 1)]
    left = [(d - d.mean(0) - d.mean(1)[:, None] + d.mean(), max((n - 1) * (d.shape[1] - 1), 1)) for d in sets]
    rest = [((d**2).sum() / df / d.size / len(sets) ** 2, df) for d, df in left]
    a, b, c = (sum(part for part, _ in terms) for terms in (images, seeds, rest))
    variance, terms = max((a + b - c, images + seeds + rest), (a, images), (b, seeds), key=lambda pair: pair[0])
    df = max(variance**2 / sum(part**2 / df for part, df in terms), 1)
    angle = np.arange(1, 1_000_001) * np.pi / 2e6  # of Student's t, which is sqrt(df) tan(angle)
    share = np.cumsum(np.cos(angle - np.pi / 4e6) ** (df - 1))
    return np.sqrt(df * variance) * np.tan(np.interp(0.95, share / share[-1], angle))


def values(rows, what):
    """Return a column, or a part of the ladder (Shapley's values), for each image: entreg/evaluation/ladder.py."""
    if what in rows[0]:
        return np.array([float(row[what]) for row in rows])
    ig = {frozenset(key[11:].split("+")) - {"none"}: values(rows, key) for key in rows[0] if key[:11] == "ig_adapted_"}
    orders = [[frozenset(order[:i]) for i in range(len(order) + 1)] for order in permutations(max(ig, key=len))]
    steps = [ig[a] - ig[b] for sets in orders for a, b in pairwise(sets) if (b - a) & {what, *what.split("_and_")}]
    return ig[orders[0][-1]] if what == "rest" else np.sum(steps, 0) / len(orders)


for (run, domain), rows in table.items():
    number, ends = list(saved["runs"]).index(run), np.cumsum([int(row["fixations"]) for row in rows])[:-1]
    for prior, column in (("gaussian", "ig_bits_per_fixation"), ("kde", "ig_kde_bits_per_fixation")):
        gains = saved[f"at/{domain}/{number}"] - saved[f"{prior}/{domain}/{saved[f'priors/{domain}'][number]}"]
        agree(f"IG, {prior}", [gain.mean() for gain in np.split(gains / np.log(2), ends)], values(rows, column))
    for row, key in [(r, k) for i, r in enumerate(rows) if (k := f"map/{domain}/{number}/{i}") + "/grid" in saved]:
        p, at = np.exp(full(key)), np.exp(full(key))[saved[f"{key}/y"], saved[f"{key}/x"]]
        agree("NSS", ((at - p.mean()) / p.std()).mean(), float(row["nss"]))
        agree("AUC", np.mean([(p < one).mean() + (p <= one).mean() for one in at]) / 2, float(row["auc"]))
for arm in results["arms"].values():
    maps = [full(f"bias/{list(saved['runs']).index(run)}/with") for run in arm["runs"]]
    agree("entropies", np.mean([-(np.exp(one) * one).sum() for one in maps]), arm["bias_entropy_nats"])
for name, comparison in [(key, of) for key, of in results["comparisons"].items() if results["arms"][key]["folds"] == 1]:
    arms = [results["arms"][one] for one in (name, comparison["baseline"])]
    shared = {*arms[0]["seeds"]} & {*arms[1]["seeds"]}  # by which trainings are paired, where they are at least two
    runs = [[arm["runs"][i] for i, s in enumerate(arm["seeds"]) if len(shared) < 2 or s in shared] for arm in arms]
    for domain, stated in [(key, of) for key, of in comparison.items() if key.startswith(("in_domain", "ood"))]:
        cells = {key: stated.get(of["difference_key"]) for key, of in results["metrics"].items()}
        planned, of = results["primary"]["planned"], f"{domain}."
        domains = [key for key in results["data"] if f"{key}.".startswith(of) and (of != "ood." or key[4:] in planned)]
        for what, cell in [pair for pair in (cells | (stated["ladder"] or {})).items() if pair[1]]:
            sets = [[[values(table[run, one], what) for run in of_arm] for of_arm in runs] for one in domains]
            sets = [np.subtract(*two if len(shared) > 1 else ([np.mean(arm, 0)] for arm in two)) for two in sets]
            agree("differences", np.mean([d.mean() for d in sets]), cell["mean"])
            if ends := cell["ci95"] if len(shared) > 1 else cell["ci95_over_images"]:
                agree("intervals", half_interval(sets), (ends[1] - ends[0]) / 2)
print(*(f"{what}: agree within {deviation:.1e}" for what, deviation in worst.items()), sep="\n")
sys.exit(max(worst.values()) > 1e-5)  # entropies were summed in float32
