"""The other commands as functions."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path

import pytest
from conftest import FIXTURES, REPOSITORY, command_line

import tomograph

FIRST = FIXTURES / "demo" / "prose.jsonl"
HELD_OUT = REPOSITORY / "docs" / "causal.md"


@pytest.fixture(scope="module")
def costs(demo: Path) -> tomograph.Map:
    return tomograph.scan(demo, metrics=["predicted-kl-int3", "predicted-kl-int4", "err-int3", "err-int4"], text=FIRST, tokens=512, sequence=64)


@pytest.fixture(scope="module")
def planned(costs: tomograph.Map) -> tomograph.Plan:
    return tomograph.plan(costs, tomograph.Client.SIMULATED, target="3.6bpw", types=["int3:g128", "int4:g128"])


def test_a_plan_of_a_map_in_memory_is_that_of_the_file(costs: tomograph.Map, planned: tomograph.Plan, tmp_path: Path) -> None:
    costs.save(tmp_path / "map")
    command_line("plan", tmp_path / "map", "--for", "simulated", "--target", "3.6bpw", "--types", "int3:g128,int4:g128", "-o", tmp_path / "plan")
    there = tomograph.Plan.load(tmp_path / "plan")
    assert planned.cells == there.cells and planned.totals == there.totals and planned.recipes == there.recipes
    assert set(planned.baselines) == set(there.baselines) and "uniform" in planned.baselines
    assert planned.client is tomograph.Client.SIMULATED and planned.kind == "bits"
    planned.save(tmp_path / "again")
    assert tomograph.Plan.load(tmp_path / "again") == planned
    assert json.loads(planned.to_json()) == planned.json
    assert "<img" in planned._repr_html_() and "3.6bpw" in repr(planned)


def test_cells_of_a_plan_as_a_table(planned: tomograph.Plan) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    table = planned.table()
    assert table.num_rows == 196 and set(table["stored"].to_pylist()) <= {"int3:g128", "int4:g128"}
    assert list(planned.to_pandas()["stored"]) == table["stored"].to_pylist()


def test_ranks_of_a_plan_for_adapters(demo: Path, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    map = tomograph.scan(demo, metrics="gradient-norm", text=FIRST, tokens=128, sequence=64)
    plan = tomograph.plan(map, "peft", rank=4)
    frame = plan.to_pandas()
    assert {"rank", "alpha", "hugging_face"} <= set(frame.columns) and (frame["rank"] >= 0).all()
    assert plan.kind == "rank" and json.loads(plan.recipes["adapter_config.json"])["peft_type"] == "LORA"


def test_a_plan_in_memory_is_verified_as_from_its_folder(planned: tomograph.Plan, tmp_path: Path) -> None:
    proof = tomograph.verify(planned, text=HELD_OUT, tokens=512, sequence=128, baselines=["uniform", "inverted"])
    planned.save(tmp_path / "plan")
    words = ["--text", HELD_OUT, "--tokens", 512, "--sequence", 128, "--baselines", "uniform,inverted", "--json"]
    ran = command_line("verify", tmp_path / "plan", *words, check=False)
    there = json.loads(ran.stdout)
    assert proof.arms == there["arms"] and proof.verdict == there["verdict"] and proof.exit_code == ran.returncode
    assert proof.helps == (ran.returncode == 0) and len(proof.arms) == 3
    assert "verdict" in repr(proof) and "<table>" in proof._repr_html_()
    with pytest.raises(AttributeError, match="it has"):
        proof.nonsense
    beside = tomograph.verify(planned, text=HELD_OUT, tokens=256, sequence=128, baselines=["none"], beside={"the same": planned})
    assert [arm["name"] for arm in beside.arms] == ["this plan", "the same"]


def test_a_plan_is_refined(planned: tomograph.Plan) -> None:
    proof = tomograph.verify(
        planned, text=HELD_OUT, tokens=256, sequence=128, baselines="uniform", refine=20, calibrate=FIRST, calibrate_tokens=256
    )
    assert proof.refined_plan is not None and len(proof.refined_plan.cells) == 196


def test_measure_and_perplexity(demo: Path) -> None:
    options = {"tokens": 256, "sequence": 64}
    found = tomograph.measure(demo, ["all=int3", "L5=restored"], **options)  # type: ignore[arg-type]
    ran = command_line("measure", demo, "--change", "all=int3", "--change", "L5=restored", "--tokens", 256, "--sequence", 64, "--json")
    there = json.loads(ran.stdout)
    assert (found.kl, found.nll, found.changes) == (there["kl"], there["nll"], there["changes"]) and found.kl > 0
    assert found["kl_low"] <= found.kl <= found.kl_high
    unchanged = tomograph.perplexity(demo, **options)  # type: ignore[arg-type]
    # Two ways of adding up the same losses.
    assert unchanged.nll == pytest.approx(found.nll_original, rel=1e-12)


def test_imatrix_is_written_and_read(demo: Path, tmp_path: Path) -> None:
    path = tomograph.imatrix(demo, tmp_path / "imatrix.gguf", tokens=256, sequence=64)
    assert path.read_bytes()[:4] == b"GGUF"
    assert tomograph.scan(demo, metrics="err-int4@x", imatrix=path).metrics == ["err-int4@x"]


def test_a_difference_is_a_map(demo: Path, tuned: Path, tmp_path: Path) -> None:
    before, after = tomograph.scan(demo, metrics="rms"), tomograph.scan(tuned, metrics="rms")
    difference = tomograph.diff(before, after)
    assert difference.metrics == ["rms@diff"]
    assert (difference.array("rms@diff") == after.array("rms") - before.array("rms")).all()
    assert difference.comparison is not None and difference.comparison["metrics"][0]["metric"] == "rms"
    difference.save(tmp_path / "diff")
    assert (tmp_path / "diff" / "diff.json").exists() and tomograph.Map.load(tmp_path / "diff") == difference


def test_parts_in_memory_and_in_folders_merge_to_the_whole(demo: Path, tmp_path: Path) -> None:
    options = {"tokens": 256, "sequence": 64, "threads": 2}
    whole = tomograph.scan(demo, ["rms", "input-energy"], **options)  # type: ignore[arg-type]
    first = tomograph.scan(demo, ["rms", "input-energy"], shard="1/2", **options)  # type: ignore[arg-type]
    second = tomograph.scan(demo, ["rms", "input-energy"], shard="2/2", out=tmp_path / "second", **options)  # type: ignore[arg-type]
    assert whole.part is None and first.part and (tmp_path / "second" / "part.tomograph").read_bytes() == second.part
    for parts in ([first, second], [first.part, tmp_path / "second"], [pickle.loads(pickle.dumps(first)), second]):
        merged = tomograph.merge(parts)
        assert (merged.array("rms") == whole.array("rms")).all()
        assert merged.array("input-energy") == pytest.approx(whole.array("input-energy"), rel=1e-12)
        assert merged.part is None
    with pytest.raises(tomograph.Error, match="2/2|missing"):
        tomograph.merge([first])
    with pytest.raises(ValueError, match="no part"):
        tomograph.merge([whole, first])


def test_agreement_of_maps_in_memory(demo: Path, costs: tomograph.Map) -> None:
    truth = tomograph.scan(demo, metrics="quant-kl-int3", text=FIRST, tokens=256, sequence=64)
    found = tomograph.agree([truth, costs], "quant-kl-int3")
    assert found.claim and found.schema.startswith("tomograph.agree")


def test_a_model_is_written_as_planned(tmp_path: Path) -> None:
    inspected = tomograph.inspect(FIXTURES / "demo" / "base", metrics=["rms", "err-int4"])
    assert inspected.cells == 196 and inspected.cost["bytes_read"] > 0


def test_notes_are_logged_as_warnings(demo: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tomograph"):
        tomograph.scan(FIXTURES / "demo" / "tuned", against=demo, metrics="delta-relative")
    notes = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert any("come with delta-relative" in note for note in notes)


def test_explain() -> None:
    page = tomograph.explain("stable-rank")
    assert page.startswith("stable-rank (metric)") and "# Formula" in page
    assert tomograph.explain(tomograph.Metric.STABLE_RANK) == page
