"""How the golden files of the real model are written, and what its tensors are called."""

import json

import numpy as np

# Our name of a component and the GGUF one, in the order of the map's columns.
COMPONENTS = {
    "attn.q": "attn_q",
    "attn.k": "attn_k",
    "attn.v": "attn_v",
    "attn.o": "attn_output",
    "mlp.up": "ffn_up",
    "mlp.down": "ffn_down",
    "mlp.gate": "ffn_gate",
}


def rounded(value):
    """Ten significant digits; a number that is not finite would make the file invalid JSON, so it stops the script."""
    if not np.isfinite(value):
        raise ValueError(f"not finite: {value}")
    return value if isinstance(value, int) else float(f"{value:.10g}")


def one_line_per_row(golden):
    """JSON with one cell and one column a line: compact, and a change shows which column changed."""
    def lines(items):
        return ",\n  ".join(items)

    head = [f" {json.dumps(k)}: {json.dumps(v)}" for k, v in golden.items() if k not in ("cells", "columns")]
    cells = lines(json.dumps(c) for c in golden["cells"])
    columns = lines(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in golden["columns"].items())
    body = [f' "cells": [\n  {cells}\n ]', f' "columns": {{\n  {columns}\n }}']
    return "{\n" + ",\n".join(head + body) + "\n}\n"
