"""Power-law exponents by the weightwatcher package, for crates/metrics/tests/reference/power_law.json.

Each case is a matrix made here; what is kept of it are its singular values (scipy, float64, the same call the package makes)
and the alpha, xmin and D of the package's own `analyze` with default arguments.

    python tools/reference/spectral_power_law.py > crates/metrics/tests/reference/power_law.json
"""

import contextlib
import importlib.metadata
import io
import json
import logging
import platform
import sys

import numpy as np
import scipy.linalg
import torch
import weightwatcher

SEED = 20


def cases(rng):
    """name -> float32 [out, in]"""
    left = np.linalg.qr(rng.standard_normal((96, 96)))[0]
    right = np.linalg.qr(rng.standard_normal((128, 128)))[0][:96]
    pareto = (rng.pareto(1.5, 96) + 1) ** 0.5
    low_rank = rng.standard_normal((80, 24)) @ rng.standard_normal((24, 100)) * 0.05
    return {
        "gaussian 64x64": rng.standard_normal((64, 64)) * 0.05,
        "gaussian 100x40": rng.standard_normal((100, 40)) * 0.02,
        "student t3 90x120": rng.standard_t(3, (90, 120)) * 0.03,
        "pareto spectrum 96x128": left @ np.diag(pareto) @ right,
        "rank 24 of 80x100": low_rank,
        "noise and spikes 120x120": rng.standard_normal((120, 120)) * 0.05 + 0.1 * low_rank[:40, :40].repeat(3, 0).repeat(3, 1),
        "most eigenvalues below the cut 60x60": rng.standard_normal((60, 60)) * 0.0006,
        "small sample 15x40": rng.standard_normal((15, 40)) * 0.3,
        "smallest sample 8x30": rng.standard_normal((8, 30)) * 0.3,
    }


def fit(matrix):
    """alpha, xmin, D of one matrix, by the package."""
    layer = torch.nn.Linear(matrix.shape[1], matrix.shape[0], bias=False)
    layer.weight.data = torch.from_numpy(matrix)
    with contextlib.redirect_stdout(io.StringIO()):
        details = weightwatcher.WeightWatcher(model=torch.nn.Sequential(layer)).analyze()
    row = details.iloc[0]
    return {"alpha": float(row["alpha"]), "xmin": float(row["xmin"]), "distance": float(row["D"])}


def main():
    logging.disable(logging.WARNING)
    rng = np.random.default_rng(SEED)
    matrices = {name: w.astype(np.float32) for name, w in cases(rng).items()}
    found = [
        {"name": name, "rows": w.shape[0], "cols": w.shape[1], **fit(w), "singular_values": scipy.linalg.svdvals(w.astype(float)).tolist()}
        for name, w in matrices.items()
    ]
    versions = {p: importlib.metadata.version(p) for p in ("weightwatcher", "numpy", "scipy", "torch")}
    page = {"script": "tools/reference/spectral_power_law.py", "seed": SEED, "versions": {"python": platform.python_version(), **versions}, "cases": found}
    json.dump(page, sys.stdout, indent=1)
    print()


main()
