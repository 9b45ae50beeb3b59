"""Enums of everything that has an id, made from the registries of the program when this package is imported."""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import Any

from ._tomograph import registries

#: Names of the enums by the registries' own word for an entry.
ENUMS = {
    "component": "Component",
    "metric": "Metric",
    "family": "Family",
    "output format": "OutputFormat",
    "normalisation": "Normalisation",
    "number format": "NumberFormat",
    "edit": "Edit",
    "client": "Client",
}


class Entry(str, Enum):
    """An id, usable as a string; `summary` and `details` say what it is."""

    def __str__(self) -> str:
        return str(self.value)

    @property
    def summary(self) -> str:
        """One sentence."""
        return str(self.details["summary"])

    @property
    def details(self) -> dict[str, Any]:
        """What the registry says of it."""
        return _DETAILS[type(self).__name__, str(self.value)]


def member_name(id: str) -> str:
    """`err-int4` is ERR_INT4, `attn.q` is ATTN_Q."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", id).upper()
    return f"_{name}" if name[0].isdigit() else name


def entries() -> dict[str, dict[str, dict[str, Any]]]:
    """Enum, id, details."""
    found: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in ENUMS.values()}
    for entry in json.loads(registries()):
        found[ENUMS[entry["kind"]]].setdefault(entry["id"], entry)
    return found


_ENTRIES = entries()
_DETAILS = {(name, id): details for name, ids in _ENTRIES.items() for id, details in ids.items()}


def _enum(name: str) -> Any:
    members = [(member_name(id), id) for id in _ENTRIES[name]]
    return Entry(name, members, module="tomograph", qualname=name)  # type: ignore[call-arg,arg-type]


Component = _enum("Component")
Metric = _enum("Metric")
Family = _enum("Family")
OutputFormat = _enum("OutputFormat")
Normalisation = _enum("Normalisation")
NumberFormat = _enum("NumberFormat")
Edit = _enum("Edit")
Client = _enum("Client")

for _name, _doc in {
    "Component": "The seven linear projections of a layer, in the order of tables.",
    "Metric": "What can be measured; `ID@null` and `ID@x` are written as strings.",
    "Family": "Which models are understood.",
    "OutputFormat": "What a map can be drawn as.",
    "Normalisation": "How scores can be made comparable.",
    "NumberFormat": "Number formats whose error is simulated.",
    "Edit": "What can be done to a cell.",
    "Client": "Programs that act on plans.",
}.items():
    globals()[_name].__doc__ = _doc
