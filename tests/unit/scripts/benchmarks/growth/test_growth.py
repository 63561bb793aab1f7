"""The pure parts of the benchmark of growth; its state is written small."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from deployments.domain.routing import RoutingPolicy
from deployments.store import Store, StoreCounts
from features.config import load_contract
from scripts.benchmarks.bench.measure import Measured
from scripts.benchmarks.bench.raysonde import WORKLOAD, WORKLOADS
from scripts.benchmarks.growth import layouts as grown
from scripts.benchmarks.growth.__main__ import SIZES
from scripts.benchmarks.growth.layouts import Size, fill_journal, lay_out_grown, renamed
from scripts.benchmarks.growth.page import growth_part, growth_table
from tests.support.models import make_parts
from training.registry.models import Registry
from training.runtime.bundle import read_bundle, write_bundle
from training.runtime.settings import Settings

MEASURED = Measured("", "linear", 16, 1600.0, 10.0, 15.0, 20.0, 0, 0.5, 600e6)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    parts = make_parts("linear", 0)
    card = parts.card.model_copy(update={"workload": WORKLOAD})
    contract = parts.contract.model_copy(update={"workload": WORKLOAD})
    write_bundle(replace(parts, card=card, contract=contract), tmp_path / "bundle")
    return tmp_path / "bundle"


def test_a_journal_is_written_whole_with_its_truths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grown, "_ROWS_AT_ONCE", 20)
    (tmp_path / "journal.unfinished.db").write_text("of a run that was cut off")
    fill_journal(tmp_path / "journal.db", 50)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal.db"]
    store = Store(f"sqlite:///{tmp_path}/journal.db")
    assert store.counts(WORKLOAD) == StoreCounts(50, 50, 50, 0, 0, 0)
    assert len({one.prediction.payload for one in store.joined(WORKLOAD)}) == 50
    store.close()
    written = (tmp_path / "journal.db").stat().st_mtime_ns
    fill_journal(tmp_path / "journal.db", 50)
    assert (tmp_path / "journal.db").stat().st_mtime_ns == written


def test_a_model_under_another_name_is_the_same_model(bundle: Path, tmp_path: Path) -> None:
    one, other = read_bundle(bundle), read_bundle(renamed(bundle, "arm_7", tmp_path / "new" / "arm_7"))
    assert other.card == one.card.model_copy(update={"family": "arm_7"})
    assert (other.onnx, other.content_hash == one.content_hash) == (one.onnx, False)


def test_a_grown_system_has_an_even_share_for_every_arm(bundle: Path, tmp_path: Path) -> None:
    fill_journal(tmp_path / "journal.db", 10)
    folder = tmp_path / "grown"
    lay_out_grown(folder, Size(3, 10), bundle, tmp_path / "journal.db")
    sections = yaml.safe_load((folder / "workloads" / f"{WORKLOAD}.yaml").read_text())
    policy = RoutingPolicy.model_validate(sections["routing"])
    assert policy.weights == {"arm_1": 1, "arm_2": 1, "arm_3": 1, "blend": 0}
    assert not policy.sticky  # all requests are of one entity
    var = folder / "var"
    registry = f"sqlite:///{var}/mlflow/mlflow.db"
    settings = Settings(var, folder / "workloads", registry, f"sqlite:///{var}/store.db")
    assert set(Registry(settings).champions(WORKLOAD)) == policy.arms
    store = Store(settings.store_url)
    assert store.counts(WORKLOAD).joined == 10
    store.close()


def test_a_journal_fits_the_contract_of_the_benchmark(tmp_path: Path) -> None:
    fill_journal(tmp_path / "journal.db", 1)
    store = Store(f"sqlite:///{tmp_path}/journal.db")
    ((_, row),) = store.predictions(WORKLOAD)
    contract = load_contract(WORKLOADS, WORKLOAD)
    assert yaml.safe_load(row.payload).keys() == {contract.entity, *contract.field_names}
    assert row.prediction.keys() == row.interval.keys() == {contract.target.name}
    store.close()


def test_latencies_are_relative_to_those_of_the_smallest_size() -> None:
    found = {SIZES[0]: MEASURED, SIZES[-1]: replace(MEASURED, p50_ms=11.0, p99_ms=30.0, rate=1500.0)}
    table = growth_table(found)
    assert table.rows[0][-2:] == ("x 1.00", "x 1.00")
    assert table.rows[1] == (
        "8 arms, 1,000,000 rows", "1,500", "11.0", "15.0", "30.0", "0", "0.50", "600", "x 1.10", "x 1.50",
    )  # fmt: skip
    part = growth_part(found, "make bench-growth", "a machine", 6)
    assert "medians of 6 rounds" in " ".join(part.split())
    assert "| 8 arms, 1,000,000 rows | 1,500 |" in part
