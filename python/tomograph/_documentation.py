"""Signatures and documentation of functions at run time, from the stubs that editors read: `help`, and notebooks, show what there is."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any


def document(stub: Path, functions: dict[str, Any]) -> None:
    """Gives functions the signatures and the documentation that `stub` has for them."""
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            function = functions[node.name]
            function.__doc__ = ast.get_docstring(node)
            function.__signature__ = _signature(node)


def _signature(node: ast.FunctionDef) -> inspect.Signature:
    positional = node.args.args
    without = [None] * (len(positional) - len(node.args.defaults))
    pairs = [
        *((inspect.Parameter.POSITIONAL_OR_KEYWORD, *pair) for pair in zip(positional, [*without, *node.args.defaults])),
        *((inspect.Parameter.KEYWORD_ONLY, *pair) for pair in zip(node.args.kwonlyargs, node.args.kw_defaults)),
    ]
    parameters = [
        inspect.Parameter(
            argument.arg,
            kind,
            default=inspect.Parameter.empty if default is None else ast.literal_eval(default),
            annotation=ast.unparse(argument.annotation) if argument.annotation else inspect.Parameter.empty,
        )
        for kind, argument, default in pairs
    ]
    return inspect.Signature(parameters, return_annotation=ast.unparse(node.returns) if node.returns else None)
