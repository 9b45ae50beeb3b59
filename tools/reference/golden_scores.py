"""Scores of one weight matrix in float64: power sums and functions of the singular values.

Plain numpy after the definitions, no shortcuts: this is what the Rust side is held against, so it is written to be read.
`weights` is [out, in]; `sigma` holds the singular values in descending order; lambda = sigma ** 2.
"""

import numpy as np

# Median absolute deviation of a standard normal variable, to four digits as statistics texts give it.
MAD_OF_NORMAL = 0.6745
# Interquartile range of a standard normal variable, to the digits Spectrum uses.
IQR_OF_NORMAL = 1.349
# Eigenvalues at or below this are left out of the power-law fit, as weightwatcher does.
SMALLEST_EIGENVALUE = 1e-5


def entry_scores(weights):
    """Scores that need the entries only."""
    w = weights.astype(np.float64)
    rms = np.sqrt(np.mean(w**2))
    centred = w - w.mean()
    return {
        "rms": rms,
        "mean-abs": np.mean(np.abs(w)),
        "kurtosis": np.mean(centred**4) / np.mean(centred**2) ** 2 - 3.0,
        "outlier-share:k=3": np.mean(np.abs(w) > 3 * rms),
        "outlier-share:k=6": np.mean(np.abs(w) > 6 * rms),
        "max-over-rms": np.max(np.abs(w)) / rms,
        "robust-sd": robust_sd(w),
    }


def robust_sd(w):
    """Median absolute deviation over 0.6745."""
    return np.median(np.abs(w - np.median(w))) / MAD_OF_NORMAL


def entropy_rank(weights_of_directions):
    """exp of the entropy of a distribution given up to its sum."""
    p = weights_of_directions / weights_of_directions.sum()
    p = p[p > 0]
    return np.exp(-np.sum(p * np.log(p)))


def spectral_scores(shape, sigma, entry_sd):
    """Scores that need the singular values, and the distance of each threshold to the nearest singular value."""
    energy = sigma**2
    scores = {
        "spectral-norm": sigma[0],
        "sigma-median": np.median(sigma),
        "sigma-min": sigma[-1],
        "stable-rank": energy.sum() / energy[0],
        "effective-rank:sigma": entropy_rank(sigma),
        "effective-rank:lambda": entropy_rank(energy),
        "participation-ratio": energy.sum() ** 2 / np.sum(energy**2),
        "pl-alpha-hill": hill(sigma),
    }
    return scores | excess_over_noise(shape, sigma, entry_sd) | spectrum_snr(shape, sigma) | power_law(sigma)


def excess_over_noise(shape, sigma, entry_sd):
    """What sticks out of the Marchenko-Pastur bulk of noise with the entries' robust standard deviation."""
    edge = entry_sd * (np.sqrt(shape[0]) + np.sqrt(shape[1]))
    energy = sigma**2
    outside = sigma > edge
    return {
        "mp-excess:count": int(outside.sum()),
        "mp-excess:share": energy[outside].sum() / energy.sum(),
        "mp-excess:margin": margin(sigma, edge),
    }


def spectrum_snr(shape, sigma):
    """Spectrum's score (arXiv 2406.06623): the threshold is taken from the spread of the singular values themselves."""
    spread = (np.quantile(sigma, 0.75) - np.quantile(sigma, 0.25)) / IQR_OF_NORMAL
    threshold = spread * (1 + np.sqrt(min(shape) / max(shape)))
    above = sigma > threshold
    noise = sigma[~above].sum() if (~above).any() else 1.0
    return {
        "spectrum-snr": sigma[above].sum() / noise / sigma[0],
        "spectrum-snr:margin": margin(sigma, threshold),
        # Both sums jump by this singular value when it crosses the threshold.
        "spectrum-snr:count": int(above.sum()),
    }


def margin(sigma, threshold):
    """Relative distance from `threshold` to the nearest singular value: below the error of an SVD, the count is a toss-up."""
    return np.min(np.abs(sigma / threshold - 1.0))


def hill(sigma):
    """Hill's estimate over the upper half of the eigenvalues (AlphaPruning's `xmin_mid`)."""
    energy = np.sort(sigma**2)
    tail = energy[len(energy) // 2 :]
    return 1 + len(tail) / np.sum(np.log(tail) - np.log(tail[0]))


def power_law(sigma):
    """Continuous power-law fit by least Kolmogorov-Smirnov distance over every possible start of the tail.

    Written from the definition beside weightwatcher's own fit, for two things that package does not report: the runner-up
    (a tail that fits nearly as well and gives another alpha) and how far behind it is.
    """
    d = np.sort(sigma**2)
    d = d[d > SMALLEST_EIGENVALUE]
    log_d = np.log(d)
    alphas = np.ones(len(d) - 1)
    distances = np.ones(len(d) - 1)
    for i in range(len(d) - 1):
        n = len(d) - i
        alphas[i] = 1 + n / np.sum(log_d[i:] - log_d[i])
        if alphas[i] > 1:
            model = 1 - (d[i:] / d[i]) ** (1 - alphas[i])
            distances[i] = np.max(np.abs(model - np.arange(n) / n))
    best = np.argmin(distances)
    others = np.abs(alphas - alphas[best]) > 1e-3 * alphas[best]
    runner_up = np.flatnonzero(others)[np.argmin(distances[others])]
    return {
        "pl-alpha:own": alphas[best],
        "pl-alpha:own-distance": distances[best],
        "pl-alpha:runner-up": alphas[runner_up],
        "pl-alpha:runner-up-lag": distances[runner_up] / distances[best] - 1.0,
    }
