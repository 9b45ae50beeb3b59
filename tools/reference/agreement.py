"""Writes fixtures/golden/agreement.json: what scipy and numpy say of statistics that compare two maps.

    python tools/reference/agreement.py [--out FILE]

Rank correlations, Kendall's tau-b and the bootstrap are scipy's. Partial rank correlations are Pearson's of what lstsq leaves of the
ranks, overlaps are means over every way to break ties, split halves and ranks of resamples are enumerated: none of them takes the
way our code takes.
"""
import argparse
import itertools
import json
import platform
from pathlib import Path

import numpy as np
import scipy
from scipy import stats

ROOT = Path(__file__).resolve().parents[2]
rng = np.random.default_rng(20261127)


def residual(y, x):
    design = np.stack([np.ones(len(x)), x], axis=1)
    return y - design @ np.linalg.lstsq(design, y, rcond=None)[0]


def partial(a, b, c):
    a, b, c = (stats.rankdata(v) for v in (a, b, c))
    return float(stats.pearsonr(residual(a, c), residual(b, c))[0])


def tops(v, count):
    """Every set of `count` places that an order of v may put first, ties in any order."""
    border = sorted(v, reverse=True)[count - 1]
    above = [i for i, x in enumerate(v) if x > border]
    tied = [i for i, x in enumerate(v) if x == border]
    return [set(above) | set(chosen) for chosen in itertools.combinations(tied, count - len(above))]


def overlap(a, b, count):
    return float(np.mean([len(x & y) / count for x in tops(a, count) for y in tops(b, count)]))


def pair(name, a, b, control, count):
    a, b, control = (np.asarray(v, dtype=float) for v in (a, b, control))
    return {
        "name": name, "a": a.tolist(), "b": b.tolist(), "control": control.tolist(), "count": count,
        "pearson": float(stats.pearsonr(a, b)[0]), "spearman": float(stats.spearmanr(a, b)[0]),
        "kendall": float(stats.kendalltau(a, b, variant="b")[0]), "partial": partial(a, b, control),
        "overlap": overlap(a, b, count),
    }


def pairs():
    x = rng.standard_normal(40)
    depth = np.repeat(np.arange(10.0), 4)
    yield pair("plain", x, x + rng.standard_normal(40), depth, 4)
    yield pair("opposed", x, -x + 0.3 * rng.standard_normal(40), depth, 4)
    yield pair("ties in both", rng.integers(0, 5, 40), rng.integers(0, 4, 40), depth, 3)
    yield pair("ties at the border", [9, 5, 5, 5, 1, 0], [1, 2, 2, 8, 2, 0], [0, 0, 1, 1, 2, 2], 3)
    yield pair("decades", np.exp(5 * x), np.exp(3 * x + rng.standard_normal(40)), depth, 4)
    yield pair("depth and nothing else", depth + 0.1 * rng.standard_normal(40),
               depth + 0.1 * rng.standard_normal(40), depth, 4)


def table():
    """Six cells, six sequences of different lengths, means per token."""
    tokens = np.array([10.0, 30.0, 20.0, 15.0, 25.0, 40.0])
    means = np.exp(0.5 * np.arange(6.0))[:, None] * np.exp(0.6 * rng.standard_normal((6, 6)))

    def scores(chosen):
        chosen = list(chosen)
        return (means[:, chosen] * tokens[chosen]).sum(1) / tokens[chosen].sum()

    halves = [stats.spearmanr(scores(h), scores(set(range(6)) - set(h)))[0]
              for h in itertools.combinations(range(6), 3) if 0 in h]
    r = float(np.mean(halves))
    whole = 2 * r / (1 + r)
    places = np.array([7 - stats.rankdata(scores(drawn)) for drawn in itertools.product(range(6), repeat=6)])
    low, high = np.percentile(places, [2.5, 97.5], axis=0, method="inverted_cdf")
    return {
        "tokens": tokens.tolist(), "means": means.tolist(), "scores": scores(range(6)).tolist(),
        "half": r, "half_spread": float(np.std(halves)), "whole": whole, "ceiling": float(np.sqrt(whole)),
        "rank": (7 - stats.rankdata(scores(range(6)))).tolist(), "rank_low": low.tolist(), "rank_high": high.tolist(),
    }


def bootstrap():
    """Cells resampled 20 000 times on Fisher's scale: scipy's basic interval."""
    a = rng.standard_normal(60)
    b = 0.8 * a + 0.6 * rng.standard_normal(60)

    def z(x, y):
        return np.arctanh(stats.spearmanr(x, y)[0])

    found = stats.bootstrap((a, b), z, paired=True, vectorized=False, n_resamples=20_000, method="basic", rng=rng)
    return {
        "a": a.tolist(), "b": b.tolist(), "spearman": float(stats.spearmanr(a, b)[0]),
        "low": float(np.tanh(found.confidence_interval.low)), "high": float(np.tanh(found.confidence_interval.high)),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "fixtures/golden/agreement.json")
    out = parser.parse_args().out
    result = {
        "what": "statistics that compare two maps, on made-up numbers",
        "script": "tools/reference/agreement.py",
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__},
        "pairs": list(pairs()), "table": table(), "bootstrap": bootstrap(),
    }
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
