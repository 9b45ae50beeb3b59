"""What documents and notebooks show runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY


@pytest.fixture
def repository_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like the root of the repository, in which files may be left."""
    for name in ("fixtures", "docs", "README.md"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks(path: Path) -> list[tuple[int, str]]:
    """Python blocks with the lines they begin at."""
    text = path.read_text(encoding="utf-8")
    found = re.finditer(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [(text[: block.start()].count("\n") + 2, block.group(1)) for block in found]


def test_the_page_runs(repository_root: Path) -> None:
    for needed in ("pyarrow", "pandas", "matplotlib"):
        pytest.importorskip(needed).__name__
    import matplotlib

    matplotlib.use("Agg")
    page = REPOSITORY / "docs" / "python.md"
    names: dict[str, Any] = {}
    assert len(blocks(page)) >= 7
    for line, block in blocks(page):
        exec(compile("\n" * (line - 1) + block, str(page), "exec"), names)
    assert names["proof"].verdict in ("helps", "no-difference", "hurts")
    assert (repository_root / "map" / "report.html").exists() and (repository_root / "plan" / "plan.json").exists()


@pytest.mark.parametrize("notebook", sorted((REPOSITORY / "python" / "examples").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_run_from_top_to_bottom(notebook: Path, repository_root: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    cells = nbformat.read(notebook, as_version=4)
    assert all(not cell.get("outputs") for cell in cells.cells), "outputs are not kept in the repository"
    nbclient.NotebookClient(cells, timeout=300, resources={"metadata": {"path": str(repository_root)}}).execute()
    shown = [output for cell in cells.cells for output in cell.get("outputs", [])]
    kinds = {kind for output in shown for kind in output.get("data", {})}
    assert "image/png" in kinds and any("<svg" in str(output.get("data", {}).get("text/html")) for output in shown)
