"""Writes stats.json: what numpy and scipy say of the statistics in crates/map/src/stats and of two normalisations.

Run with numpy and scipy installed: python stats.py > stats.json
"""
import json
import sys

import numpy as np
import scipy
from scipy import stats

rng = np.random.default_rng(20261123)
PERMUTATIONS = 20_000


def best_split(v):
    """Exhaustive two-means split with at least two values on either side: (length of the first part, R^2)."""
    total = ((v - v.mean()) ** 2).sum()
    fits = [(1 - (((v[:k] - v[:k].mean()) ** 2).sum() + ((v[k:] - v[k:].mean()) ** 2).sum()) / total, k)
            for k in range(2, len(v) - 1)]
    r2, k = max(fits)
    return k, r2


def profile(name, v):
    v = np.asarray(v, dtype=float)
    x = np.arange(len(v), dtype=float)
    fit = stats.linregress(x, v)
    k, r2 = best_split(v)
    step = stats.permutation_test((v,), lambda s: best_split(s)[1], permutation_type="pairings",
                                  n_resamples=PERMUTATIONS, alternative="greater", rng=rng, vectorized=False)
    drift = stats.permutation_test((v,), lambda s: np.corrcoef(x, s)[0, 1] ** 2, permutation_type="pairings",
                                   n_resamples=PERMUTATIONS, alternative="greater", rng=rng, vectorized=False)
    return {
        "name": name, "values": v.tolist(),
        "ranks": stats.rankdata(v).tolist(), "median": float(np.median(v)),
        "z": stats.zscore(v).tolist(),
        "robust_z": ((v - np.median(v)) / stats.median_abs_deviation(v, scale="normal")).tolist(),
        "percentile_rank": ((stats.rankdata(v) - 1) / (len(v) - 1)).tolist(),
        "line": {"start": fit.intercept, "end": fit.intercept + fit.slope * x[-1], "r2": fit.rvalue ** 2,
                 "p": float(drift.pvalue)},
        "split": {"first": k, "before": v[:k].mean(), "after": v[k:].mean(), "r2": r2, "p": float(step.pvalue)},
    }


def pair(a, b):
    u = stats.mannwhitneyu(a, b).statistic
    return {"a": list(a), "b": list(b), "delta": 2 * u / (len(a) * len(b)) - 1}


profiles = [
    profile("step", np.r_[rng.normal(3, .2, 16), rng.normal(2.4, .2, 12)]),
    profile("drift", np.linspace(-1, 1, 24) + rng.normal(0, .2, 24)),
    profile("noise", rng.normal(0, 1, 30)),
    profile("weak", np.r_[rng.normal(0, 1, 15), rng.normal(.9, 1, 15)]),
    profile("ties", rng.integers(0, 4, 20)),
    profile("outlier", np.r_[rng.normal(0, 1, 27), 50.]),
    profile("small", 1e-9 * rng.normal(5, 1, 9)),
]
pairs = [
    pair(rng.normal(0, 1, 28).tolist(), rng.normal(.5, 1, 28).tolist()),
    pair(rng.integers(0, 5, 12).astype(float).tolist(), rng.integers(1, 6, 30).astype(float).tolist()),
    pair([3.0, 4.0], [1.0, 2.0]),
]
json.dump({
    "__comment__": "written by crates/map/tests/reference/stats.py",
    "versions": {"python": sys.version.split()[0], "numpy": np.__version__, "scipy": scipy.__version__},
    "permutations": PERMUTATIONS, "profiles": profiles, "pairs": pairs,
}, sys.stdout, indent=1)
print()
