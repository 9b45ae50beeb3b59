"""Metrics that are Python functions."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import FIXTURES, tensors

import tomograph

NAMES = "self_attn.q_proj self_attn.k_proj self_attn.v_proj self_attn.o_proj mlp.up_proj mlp.down_proj mlp.gate_proj".split()


@tomograph.metric(id="largest", unit="weight units", direction="low")
def largest(cell: tomograph.Cell, weights: np.ndarray) -> float:
    """The largest magnitude."""
    return float(np.abs(weights).max())


def test_of_weights_as_numpy_reads_them(demo: Path) -> None:
    kept: list[tuple[tomograph.Cell, np.ndarray]] = []

    @tomograph.metric(id="keeps")
    def keeps(cell: tomograph.Cell, weights: np.ndarray) -> np.float32:
        kept.append((cell, weights[1:, ::2]))
        return weights[0, 0]

    map = tomograph.scan(demo, metrics=["rms", largest, keeps])
    assert map.metrics == ["rms", "largest", "keeps"]
    weights = tensors(demo / "model.safetensors")
    whole = [[weights[f"model.layers.{layer}.{name}.weight"] for name in NAMES] for layer in range(28)]
    np.testing.assert_array_equal(map.array("largest"), [[np.abs(w).max() for w in row] for row in whole])
    np.testing.assert_array_equal(map.array("keeps"), [[w[0, 0] for w in row] for row in whole])
    # Views outlive the scan, and cannot be written to.
    assert len(kept) == 196
    for cell, view in kept:
        np.testing.assert_array_equal(view, weights[cell.tensor][1:, ::2])
        assert not view.flags.writeable and view.dtype == np.float32
    info = map.info("largest")
    assert (info["family"], info["direction"], info["unit"]) == ("own", "low", "weight units")
    assert info["summary"] == "The largest magnitude." and "user" in info["caveat"]
    assert "largest" in map.report()


@pytest.mark.parametrize("family", ["llama", "mixtral", "gpt2"])
def test_of_taps_as_transformers_saw_them(family: str, tmp_path: Path) -> None:
    folder = FIXTURES / "parity" / family
    taps = tensors(folder / "forward.safetensors")
    ids = [taps[f"tokens.{sequence}"].tolist() for sequence in (0, 1)]
    (tmp_path / "ids.json").write_text(str(ids))

    @tomograph.metric(id="reads", reads="taps")
    def reads(cell: tomograph.Cell, x: np.ndarray, y: np.ndarray) -> float:
        assert x.shape == (len(y), cell.in_features) and y.shape[1] == cell.out_features
        assert not x.flags.writeable and x.dtype == np.float32
        return float(np.abs(x).mean(dtype=np.float64))

    @tomograph.metric(id="writes", reads="taps")
    def writes(cell: tomograph.Cell, x: np.ndarray, y: np.ndarray) -> float:
        return float(np.abs(y).mean(dtype=np.float64))

    map = tomograph.scan(folder, metrics=[reads, writes], token_ids=tmp_path / "ids.json")
    port = {"attn.q": "attn", "attn.k": "attn", "attn.v": "attn", "attn.o": "attn.o", "mlp.up": "mlp", "mlp.gate": "mlp", "mlp.down": "mlp.down"}
    compared = 0
    for metric, side in (("reads", "in"), ("writes", "out")):
        found = map._core.scores(metric)
        for at, cell in enumerate(map.cells):
            expert = "" if cell.expert is None else f"[{cell.expert}]"
            name = f"L{cell.layer}.{port[cell.component] if side == 'in' else cell.component}{expert}.{side}"
            seen = [taps[f"{name}.{sequence}"] for sequence in (0, 1) if f"{name}.{sequence}" in taps]
            if not seen:
                continue
            compared += 1
            # Sequences weighted by their tokens: the mean over all tokens.
            expected = np.abs(np.concatenate(seen)).mean(dtype=np.float64)
            np.testing.assert_allclose(found[0][at], expected, rtol=2e-5, err_msg=f"{metric} of {cell}")
            if len(seen) == 2:
                means = sorted(np.abs(one).mean(dtype=np.float64) for one in seen)
                assert means[0] * (1 - 2e-5) <= found[1][at] <= found[2][at] <= means[1] * (1 + 2e-5), str(cell)
    assert compared >= len(map.cells)


def test_beside_metrics_of_the_registry_that_read_the_same_text(demo: Path) -> None:
    @tomograph.metric(id="energy", reads="taps")
    def energy(cell: tomograph.Cell, x: np.ndarray, y: np.ndarray) -> float:
        return float((x.astype(np.float64) ** 2).mean())

    map = tomograph.scan(demo, metrics=["input-energy", "rms", energy], tokens=256, sequence=64)
    assert map.metrics == ["rms", "input-energy", "energy"]
    np.testing.assert_allclose(map.array("energy"), map.array("input-energy"), rtol=1e-6)
    np.testing.assert_allclose(map.interval("energy")[0], map.interval("input-energy")[0], rtol=1e-6)


def test_an_exception_ends_the_scan_and_is_the_cause(demo: Path) -> None:
    for reads in ("weights", "taps"):
        calls = []

        @tomograph.metric(id="fails", reads=reads)  # type: ignore[arg-type]
        def fails(cell: tomograph.Cell, *arrays: np.ndarray) -> float:
            calls.append(cell)
            if cell.layer == 2:
                raise ZeroDivisionError("by nothing")
            return 0.0

        with pytest.raises(tomograph.Error) as caught:
            tomograph.scan(demo, metrics=[fails], tokens=64, sequence=16)
        assert caught.value.kind == "own" and "metric fails, cell L2." in (caught.value.site or "")
        cause = caught.value.__cause__
        assert isinstance(cause, ZeroDivisionError) and cause.__traceback__ is not None
        names = []
        trace = cause.__traceback__
        while trace:
            names.append(trace.tb_frame.f_code.co_name)
            trace = trace.tb_next
        assert "fails" in names


def test_what_is_no_number(demo: Path) -> None:
    @tomograph.metric(id="infinite")
    def infinite(cell: tomograph.Cell, weights: np.ndarray) -> float:
        return float("inf")

    @tomograph.metric(id="words")
    def words(cell: tomograph.Cell, weights: np.ndarray) -> float:
        return "many"  # type: ignore[return-value]

    row = tomograph.scan(demo, metrics=[infinite]).to_pandas().iloc[0]
    assert row["status"] == "undefined" and "not finite" in row["reason"]
    with pytest.raises(tomograph.Error) as caught:
        tomograph.scan(demo, metrics=[words])
    assert isinstance(caught.value.__cause__, TypeError)


def test_ids_that_are_taken_or_none(demo: Path) -> None:
    with pytest.raises(tomograph.Error, match="called \"rms\" already"):
        tomograph.scan(demo, metrics=[tomograph.metric(id="rms")(largest.function)])
    with pytest.raises(tomograph.Error, match="called \"largest\" already"):
        tomograph.scan(demo, metrics=[largest, largest])
    with pytest.raises(ValueError, match="lower-case"):
        tomograph.metric(id="Not An Id")(largest.function)


def test_other_threads_run_while_a_scan_does(demo: Path) -> None:
    ticks, stop = [0], threading.Event()

    def tick() -> None:
        while not stop.is_set():
            ticks[0] += 1
            stop.wait(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    before = ticks[0]
    tomograph.scan(demo, metrics="ablate-zero", tokens=64, sequence=16)
    during = ticks[0] - before
    stop.set()
    thread.join()
    # A scan that kept the interpreter to itself would leave a handful.
    assert during > 20
