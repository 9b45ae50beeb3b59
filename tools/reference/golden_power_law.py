"""The power-law exponents that the weightwatcher package itself reports for a set of matrices."""

import torch
import weightwatcher


def weightwatcher_fits(matrices):
    """alpha, xmin and D per matrix, in the order of `matrices` (name -> float32 [out, in])."""
    model = torch.nn.Module()
    for name, w in matrices.items():
        layer = torch.nn.Linear(w.shape[1], w.shape[0], bias=False)
        layer.weight.data = torch.from_numpy(w)
        # Module names may not hold dots; the order of registration is the order of weightwatcher's rows.
        model.add_module(name.replace(".", "_"), layer)
    details = weightwatcher.WeightWatcher(model=model).analyze()
    rows = {row["name"]: row for _, row in details.iterrows()}
    found = [rows[name.replace(".", "_")] for name in matrices]
    return {
        "pl-alpha": [float(row["alpha"]) for row in found],
        "pl-alpha:xmin": [float(row["xmin"]) for row in found],
        "pl-alpha:distance": [float(row["D"]) for row in found],
    }
