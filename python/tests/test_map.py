"""Maps as arrays, tables, pictures, files."""

from __future__ import annotations

import csv
import pickle
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES, command_line, tensors

import tomograph


@pytest.fixture(scope="module")
def rows(scanned: tomograph.Map, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """The same map's map.csv."""
    path = tmp_path_factory.mktemp("csv") / "map.csv"
    scanned.save(path)
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_arrays_are_the_scores_by_layer_and_component(scanned: tomograph.Map, rows: list[dict[str, str]]) -> None:
    components = [c.value for c in tomograph.Component]
    for metric in scanned.metrics:
        expected = np.full((28, 7), np.nan)
        for row in rows:
            if row["metric"] == metric:
                expected[int(row["layer"]), components.index(row["component"])] = float(row["value"])
        found = scanned.array(metric)
        assert found.dtype == np.float64 and found.shape == (28, 7)
        np.testing.assert_array_equal(found, expected)
        assert not np.isnan(found).any()


def test_an_array_is_what_numpy_makes_of_the_checkpoint(demo: Path, scanned: tomograph.Map) -> None:
    weights = tensors(demo / "model.safetensors")
    names = "self_attn.q_proj self_attn.k_proj self_attn.v_proj self_attn.o_proj mlp.up_proj mlp.down_proj mlp.gate_proj".split()
    expected = [
        [np.sqrt(np.mean(weights[f"model.layers.{layer}.{name}.weight"].astype(np.float64) ** 2)) for name in names]
        for layer in range(28)
    ]
    np.testing.assert_allclose(scanned.array(tomograph.Metric.RMS), expected, rtol=1e-12)


def test_intervals_hold_the_value_and_are_missing_where_none_was_measured(scanned: tomograph.Map) -> None:
    low, high = scanned.interval("input-energy")
    value = scanned.array("input-energy")
    assert (low <= value).all() and (value <= high).all() and (low < high).all()
    low, high = scanned.interval("rms")
    assert np.isnan(low).all() and np.isnan(high).all()


def test_arrow_pandas_and_csv_say_the_same(scanned: tomograph.Map, rows: list[dict[str, str]]) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    table, frame = scanned.table(), scanned.to_pandas()
    header = "layer component expert metric value ci_low ci_high numel status reason".split()
    assert table.column_names == header == list(frame.columns) == list(rows[0])
    table.validate(full=True)
    for at, row in enumerate(table.to_pylist()):
        text = rows[at]
        for name, value in row.items():
            if value is None:
                assert text[name] == "", (at, name)
            elif isinstance(value, float):
                assert value == float(text[name]), (at, name)
            else:
                assert str(value) == text[name], (at, name)
    for name in header:
        ours, theirs = frame[name], table[name].to_pandas()
        both = ours.isna() & theirs.isna()
        assert (ours.isna() == theirs.isna()).all(), name
        assert (ours[~both].astype(object) == theirs[~both].astype(object)).all(), name


def test_arrow_takes_over_the_memory_without_copying(scanned: tomograph.Map, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    raw = scanned._core.table()

    class Once:
        """The core, whose table is the one whose addresses are known."""

        def table(self) -> dict[str, object]:
            return raw

    table = tomograph.Map(Once()).table()  # type: ignore[arg-type]
    address = {name: array.__array_interface__["data"][0] for name, array in raw.items() if isinstance(array, np.ndarray)}
    for name in ("layer", "expert", "value", "ci_low", "ci_high", "numel"):
        buffers = table[name].chunk(0).buffers()
        assert buffers[1].address == address[name], name
        if f"{name}_validity" in address:
            assert buffers[0].address == address[f"{name}_validity"], name
    for name in ("component", "metric", "status"):
        assert table[name].chunk(0).indices.buffers()[1].address == address[name], name
    reason = table["reason"].chunk(0).buffers()
    assert [buffer.address for buffer in reason] == [address[f"reason_{part}"] for part in ("validity", "offsets", "bytes")]
    # The table keeps what it shows alive.
    del raw
    assert table["value"].null_count == 0 and table["value"][0].as_py() == scanned.array("rms")[0, 0]


def test_what_has_no_score_is_null_with_a_reason_and_nan(tmp_path: Path) -> None:
    # gpt2 has no gate: the column is missing; zero ablation of a router's expert that nothing was sent to has no value.
    map = tomograph.scan(FIXTURES / "parity" / "gpt2", metrics="rms")
    array = map.array("rms")
    assert np.isnan(array[:, 6]).all() and not np.isnan(array[:, :6]).any()
    pytest.importorskip("pyarrow")
    broken = tomograph.scan(FIXTURES / "parity" / "llama", metrics=[nothing_for_queries])
    row = broken.table().to_pylist()[0]
    assert row["component"] == "attn.q" and row["value"] is None and row["status"] == "undefined"
    assert row["reason"] == "the metric gave no value"
    assert np.isnan(broken.array("nothing-for-queries")[:, 0]).all()
    assert not np.isnan(broken.array("nothing-for-queries")[:, 1:]).any()


@tomograph.metric(id="nothing-for-queries")
def nothing_for_queries(cell: tomograph.Cell, weights: np.ndarray) -> float | None:
    return None if cell.component == "attn.q" else 1.0


def test_experts_of_a_mixture_have_to_be_named(mixture: Path) -> None:
    map = tomograph.scan(mixture, metrics="rms")
    with pytest.raises(tomograph.Error, match="up to 3 cells") as caught:
        map.array("rms")
    assert caught.value.kind == "map" and "experts=True" in (caught.value.hint or "")
    whole = map.array("rms", experts=True)
    assert whole.shape == (3, 7, 3)
    expected = {name: np.sqrt(np.mean(w.astype(np.float64) ** 2)) for name, w in tensors(mixture / "cells.safetensors").items()}
    for layer in range(3):
        for at, component in enumerate(["mlp.up", "mlp.down", "mlp.gate"], start=4):
            of = [expected[f"L{layer}.{component}[{expert}]"] for expert in range(3)]
            np.testing.assert_allclose(whole[layer, at], of, rtol=1e-12)
            np.testing.assert_allclose(map.array("rms", expert=2)[layer, at], of[2], rtol=1e-12)
            np.testing.assert_allclose(map.array("rms", expert="mean")[layer, at], np.mean(of), rtol=1e-12)
    # Attention has no experts: the same for all.
    assert (whole[:, :4, 0] == whole[:, :4, 2]).all() and not np.isnan(whole).any()
    with pytest.raises(IndexError):
        map.array("rms", expert=3)


def test_saved_loaded_and_pickled_it_is_the_same_map(scanned: tomograph.Map, tmp_path: Path) -> None:
    scanned.save(tmp_path / "folder")
    names = {path.name for path in (tmp_path / "folder").iterdir()}
    assert names >= {"map.json", "map.csv", "report.html", "report.md", "rms.png"}
    scanned.save(tmp_path / "one.json")
    for other in (
        tomograph.Map.load(tmp_path / "folder"),
        tomograph.Map.load(tmp_path / "one.json"),
        pickle.loads(pickle.dumps(scanned)),
    ):
        assert other == scanned and other.metrics == scanned.metrics and other.provenance == scanned.provenance
    assert scanned != tomograph.scan(FIXTURES / "parity" / "llama", metrics="rms") and scanned != 1


def test_what_every_sequence_said_stays_with_a_causal_map(demo: Path, tmp_path: Path) -> None:
    map = tomograph.scan(demo, metrics="ablate-zero", tokens=64, sequence=16)
    again = pickle.loads(pickle.dumps(map))
    again.save(tmp_path / "causal")
    assert (tmp_path / "causal" / "measured.json").is_file()
    shown = command_line("agree", tmp_path / "causal", "--json", "--with", "ablate-zero", check=False)
    assert "measured.json" not in shown.stderr
    tomograph.Map.load(tmp_path / "causal").save(tmp_path / "again")
    assert (tmp_path / "again" / "measured.json").read_bytes() == (tmp_path / "causal" / "measured.json").read_bytes()


def test_pictures_are_those_of_the_command_line(scanned: tomograph.Map, tmp_path: Path) -> None:
    scanned.save(tmp_path / "map")
    command_line("show", tmp_path / "map", "--metric", "stable-rank", "--normalise", "log", "-o", tmp_path / "a.svg")
    assert scanned.svg("stable-rank", normalise="log") == (tmp_path / "a.svg").read_text()
    assert scanned.png("rms") == (tmp_path / "map" / "rms.png").read_bytes()
    assert scanned._repr_html_().startswith("<svg") and "<?xml" not in scanned._repr_html_()
    with pytest.raises(tomograph.Error, match="expected one of raw"):
        scanned.svg("rms", normalise="nonsense")
    with pytest.raises(TypeError, match="no option"):
        scanned.svg("rms", colour="red")


def test_the_heatmap_has_layer_0_below_and_hatches_what_is_missing(scanned: tomograph.Map) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    axes = scanned.heatmap("rms")
    (image,) = axes.get_images()
    shown = np.asarray(image.get_array())
    assert axes.yaxis_inverted() and shown.shape == (28, 7)
    np.testing.assert_array_equal(shown[::-1], scanned.array("rms"))
    assert axes.get_yticklabels()[-1].get_text() == "0"
    assert image.colorbar.ax.get_ylabel() == "RMS weight (weight units)"
    axes.figure.canvas.draw()
    gateless = tomograph.scan(FIXTURES / "parity" / "gpt2", metrics="rms")
    drawn = gateless.heatmap("rms", ax=matplotlib.pyplot.figure().add_subplot())
    assert len(drawn.patches) == gateless.layers and all(patch.get_hatch() for patch in drawn.patches)
    matplotlib.pyplot.close("all")


def test_cells_and_provenance(scanned: tomograph.Map, demo: Path) -> None:
    cell = scanned.cells[5]
    assert (str(cell), cell.numel, cell.in_features) == ("L0.mlp.down", 64 * 128, 128)
    assert cell.tensor == "model.layers.0.mlp.down_proj.weight" and cell.expert is None
    assert scanned.provenance["model"] == str(demo)
    assert scanned.provenance["command"].startswith("tomograph map ")
    assert scanned.info("rms")["unit"] == "weight units"
    assert not scanned.is_partial and "196 cells of 28 layers" in repr(scanned)
    assert "# " in scanned.report()
