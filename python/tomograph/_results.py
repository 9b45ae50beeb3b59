"""What commands say, as objects: thin views of their JSON."""

from __future__ import annotations

import base64
import html
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from ._registry import Client


class Page(str):
    """A page of the manual; notebooks show it as one."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return str(self)


class Result:
    """What a command says: `.json` is all of it, and its keys are attributes."""

    def __init__(self, json: dict[str, Any], exit_code: int = 0) -> None:
        self.json = json
        self.exit_code = exit_code

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "json":
            raise AttributeError(name)
        try:
            return self.json[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no {name!r}: it has {', '.join(self.json)}") from None

    def __getitem__(self, name: str) -> Any:
        return self.json[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.json]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Result) and self.json == other.json

    __hash__ = None  # type: ignore[assignment]

    def _shown(self) -> Iterator[tuple[str, str]]:
        for name, value in self.json.items():
            if isinstance(value, (dict, list)):
                if value:
                    yield name, f"{len(value)} entries"
            elif value is not None:
                yield name, f"{value:.6g}" if isinstance(value, float) else str(value)

    def __repr__(self) -> str:
        lines = [f"{name}: {value}" for name, value in self._shown()]
        return "\n  ".join([f"<{type(self).__name__}", *lines]) + ">"

    def _repr_html_(self) -> str:
        row = "<tr><th style='text-align:left'>{}</th><td style='text-align:left'>{}</td></tr>"
        rows = (row.format(html.escape(name), html.escape(value)) for name, value in self._shown())
        return f"<table>{''.join(rows)}</table>"


class Proof(Result):
    """Whether a plan helps. `verdict` is "helps", "no-difference" or "hurts"; None where nothing could be said."""

    #: The plan after refining, where that was asked for.
    refined_plan: Plan | None = None

    @property
    def verdict(self) -> str | None:
        """The worse of the verdicts against uniform storage and the client's own rule."""
        found = self.json["verdict"]
        return None if found is None else str(found)

    @property
    def helps(self) -> bool:
        """Whether the plan is better than what it was held against, outside the intervals."""
        return self.verdict == "helps"


class Plan:
    """A plan, its recipes, and what `verify` holds it against; as files, in memory."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files
        #: plan.json, parsed.
        self.json: dict[str, Any] = json.loads(files["plan.json"])

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """Reads a plan from the folder that `save` or `tomograph plan` wrote, or from a plan.json."""
        path = Path(path)
        if path.is_file():
            return cls({"plan.json": path.read_bytes()})
        files = {file.relative_to(path).as_posix(): file for file in sorted(path.rglob("*")) if file.is_file()}
        return cls({name: file.read_bytes() for name, file in files.items()})

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes what `tomograph plan` writes: plan.json, the recipes, a picture, the baselines."""
        folder = Path(folder)
        for name, content in self._files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)

    def to_json(self) -> str:
        """The content of plan.json."""
        return self._files["plan.json"].decode()

    @property
    def client(self) -> Client:
        """The program that will act on it."""
        from ._registry import Client

        return Client(self.json["client"])

    @property
    def kind(self) -> str:
        """What it decides: "bits", "rank", "train" or "sparsity"."""
        return str(self.json["kind"])

    @property
    def totals(self) -> dict[str, Any]:
        """What it takes as a whole, and what it is expected to cost."""
        return dict(self.json["totals"])

    @property
    def notes(self) -> list[str]:
        """What a reader has to know."""
        return list(self.json["about"].get("notes", []))

    @property
    def recipes(self) -> dict[str, str]:
        """The files for the client: names and contents."""
        own = ("plan.json", "plan.refined.json", "plan.png")
        named = {name: text for name, text in self._files.items() if name not in own and not name.startswith("baselines/")}
        return {name: text.decode() for name, text in named.items()}

    @property
    def baselines(self) -> dict[str, Plan]:
        """What `verify` holds it against, by name."""
        found = {name: text for name, text in self._files.items() if name.startswith("baselines/")}
        return {Path(name).stem: Plan({"plan.json": text}) for name, text in found.items()}

    @property
    def cells(self) -> list[dict[str, Any]]:
        """What is decided for every cell."""
        return list(self.json["cells"])

    def _rows(self) -> list[dict[str, Any]]:
        def row(cell: dict[str, Any]) -> dict[str, Any]:
            flat: dict[str, Any] = {name: cell.get(name) for name in ("layer", "component", "expert")}
            for name, value in cell.items():
                # A rank comes with its alpha.
                flat.update(value if isinstance(value, dict) else {name: value})
            return flat

        return [row(cell) for cell in self.cells]

    def table(self) -> pyarrow.Table:
        """The decisions, a row per cell."""
        import pyarrow

        return pyarrow.Table.from_pylist(self._rows())

    def to_pandas(self) -> pandas.DataFrame:
        """The decisions, a row per cell."""
        import pandas

        return pandas.DataFrame(self._rows())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self._files == other._files

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        budget = self.json["budget"]["asked"]
        return f"<Plan of {self.kind} for {self.client}: {budget}, {len(self.cells)} cells, {', '.join(self.recipes) or 'no recipe'}>"

    def _repr_html_(self) -> str:
        shown = f"<div>{html.escape(repr(self)[1:-1])}</div>"
        picture = self._files.get("plan.png")
        if picture:
            shown += f"<img style='max-width:100%' src='data:image/png;base64,{base64.b64encode(picture).decode()}'>"
        return shown
