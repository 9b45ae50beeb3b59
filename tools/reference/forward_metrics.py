"""Activation metrics of a model's cells, from the taps of forward_taps.py. Float32 activations, every sum in float64.

Each metric is taken over all tokens of all sequences pooled. x_t: a cell's input at token t, y_t: its output, n: tokens.
"""

import numpy as np

from golden_formats import rounded_weights

GROUP = 128
CELLS = {
    "attn.q": ("attn.in", "attn.q.out"), "attn.k": ("attn.in", "attn.k.out"), "attn.v": ("attn.in", "attn.v.out"),
    "attn.o": ("attn.o.in", "attn.o.out"), "mlp.up": ("mlp.in", "mlp.up.out"), "mlp.down": ("mlp.down.in", "mlp.down.out"),
    "mlp.gate": ("mlp.in", "mlp.gate.out"),
}
DEFINITIONS = {
    "input-energy": "mean over columns j of A_j = (1/n) sum_t x_tj^2",
    "input-energy:l2": "sqrt(sum_j A_j^2); a digest of A, no metric",
    "wanda": "mean over i, j of s_ij = |W_ij| sqrt(A_j)",
    "owl-outliers:5": "100 * share of entries with s_ij > 5 * mean(s), s as in wanda",
    "owl-outliers:3": "100 * share of entries with s_ij > 3 * mean(s)",
    "nfn": "mean_t ||y_t|| / ||x_t||, y_t = W x_t without bias, over ||W||_F / sqrt(columns of W)",
    "output-energy": "mean_t ||y_t||^2",
    "write-ratio": "mean_t ||a_t|| / ||h_t||; a: what the sublayer adds, h: the residual it is added to (before); null but for o and down",
    "write-cosine": "mean_t of the cosine of a_t and h_t; null but for o and down",
    "input-kurtosis": "E[(x - m)^4] / E[(x - m)^2]^2, m = E[x], over all tokens and columns at once; 3 for a Gaussian",
    "input-kurtosis:about-zero": "E[x^4] / E[x^2]^2 over the same",
    "input-outliers": "max_j A_j / median_j A_j; of an even number the median is the mean of the two in the middle",
    "err-<format>@x": "sqrt(sum_ij (W - Q)_ij^2 A_j / sum_ij W_ij^2 A_j), Q as for err-<format> (golden_formats.py), groups of 128",
    "block-influence": "one per layer: 1 - mean_t of the cosine of the block's input and output residual",
}


def norms(x):
    return np.sqrt(np.square(x).sum(1))


def cosines(a, b):
    return (a * b).sum(1) / (norms(a) * norms(b))


class CellSums:
    """What one cell keeps of its tokens."""

    def __init__(self):
        self.tokens = 0
        self.squares = 0.0
        self.powers = np.zeros(5)
        self.ratio = self.energy = 0.0
        self.write_ratio = self.write_cosine = None

    def add(self, x, y):
        self.tokens += len(x)
        self.squares = self.squares + np.square(x).sum(0)
        self.powers += [np.power(x, p).sum() for p in range(5)]
        self.ratio += (norms(y) / norms(x)).sum()
        self.energy += np.square(y).sum()

    def add_write(self, added, residual):
        self.write_ratio = (self.write_ratio or 0.0) + (norms(added) / norms(residual)).sum()
        self.write_cosine = (self.write_cosine or 0.0) + cosines(added, residual).sum()

    def scores(self, weights):
        """All metrics of the cell; `weights` float32 [out, in]."""
        n, energy = self.tokens, self.squares / self.tokens
        w = weights.astype(np.float64)
        s = np.abs(w) * np.sqrt(energy)
        moments = self.powers / self.powers[0]
        mean, second, third, fourth = moments[1:]
        variance = second - mean**2
        about_mean = fourth - 4 * mean * third + 6 * mean**2 * second - 3 * mean**4
        out = {
            "input-energy": energy.mean(),
            "input-energy:l2": np.linalg.norm(energy),
            "wanda": s.mean(),
            "owl-outliers:5": 100 * np.mean(s > 5 * s.mean()),
            "owl-outliers:3": 100 * np.mean(s > 3 * s.mean()),
            "nfn": self.ratio / n / (np.linalg.norm(w) / np.sqrt(w.shape[1])),
            "output-energy": self.energy / n,
            "write-ratio": None if self.write_ratio is None else self.write_ratio / n,
            "write-cosine": None if self.write_cosine is None else self.write_cosine / n,
            "input-kurtosis": about_mean / variance**2,
            "input-kurtosis:about-zero": fourth / second**2,
            "input-outliers": energy.max() / np.median(energy),
        }
        size = (np.square(w) * energy).sum()
        for name, rounded in rounded_weights(weights, GROUP).items():
            out[f"{name}@x"] = np.sqrt((np.square(w - rounded) * energy).sum() / size)
        return out


class Metrics:
    """Sums over sequences; `add` the taps of one, `scores` at the end."""

    def __init__(self, layers):
        self.cells = {(layer, component): CellSums() for layer in range(layers) for component in CELLS}
        self.influence = np.zeros(layers)
        self.tokens = 0

    def add(self, seen):
        double = lambda name: seen[name].numpy().astype(np.float64)
        for (layer, component), sums in self.cells.items():
            source, target = CELLS[component]
            sums.add(double(f"L{layer}.{source}"), double(f"L{layer}.{target}"))
        for layer in range(len(self.influence)):
            at = f"L{layer}"
            before, after = double(f"{at}.residual_in"), double(f"{at}.residual_out")
            attention, mlp = double(f"{at}.attention_add"), double(f"{at}.mlp_add")
            self.cells[layer, "attn.o"].add_write(attention, before)
            self.cells[layer, "mlp.down"].add_write(mlp, before + attention)
            self.influence[layer] += (1 - cosines(before, after)).sum()
        self.tokens += len(seen["L0.residual_in"])

    def scores(self, weights):
        """`(columns, layers)`: lists by metric, parallel to `cells` and to the layers; `weights(layer, component)` float32 [out, in]."""
        columns = {}
        for (layer, component), sums in self.cells.items():
            for name, value in sums.scores(weights(layer, component)).items():
                columns.setdefault(name, []).append(value)
        return columns, {"block-influence": list(self.influence / self.tokens)}
