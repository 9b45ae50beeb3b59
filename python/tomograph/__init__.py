"""Which parts of a language model matter: layer x component maps of checkpoints, plans, and proof.

    import tomograph

    map = tomograph.scan("model.gguf", metrics=["stable-rank", "err-int4"])
    map.array("err-int4")        # layers x 7, float64
    map.table()                  # pyarrow, tidy
    map.heatmap("err-int4")      # matplotlib
    map.save("map/")             # what `tomograph map` writes

Every function is a command of the program `tomograph`, and takes its options by name: `--noise-seeds 3` is `noise_seeds=3`.
"""

from ._commands import (
    agree,
    diff,
    explain,
    imatrix,
    inspect,
    measure,
    merge,
    perplexity,
    plan,
    quantize,
    scan,
    verify,
)
from ._error import Error
from ._map import Map
from ._own import OwnMetric, metric
from ._registry import Client, Component, Edit, Family, Metric, NumberFormat, Normalisation, OutputFormat
from ._results import Page, Plan, Proof, Result
from ._tomograph import Cell, __version__

__all__ = [
    "Cell",
    "Client",
    "Component",
    "Edit",
    "Error",
    "Family",
    "Map",
    "Metric",
    "Normalisation",
    "NumberFormat",
    "OutputFormat",
    "OwnMetric",
    "Page",
    "Plan",
    "Proof",
    "Result",
    "__version__",
    "agree",
    "diff",
    "explain",
    "imatrix",
    "inspect",
    "measure",
    "merge",
    "metric",
    "perplexity",
    "plan",
    "quantize",
    "scan",
    "verify",
]
