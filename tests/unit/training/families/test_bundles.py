"""Every family there is, from the fit to a bundle that serves what was trained."""

from __future__ import annotations

import pkgutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import pytest
from toy.parts import WORKLOADS, toy_contract, toy_raw

import training.families
from features.config import load_sections
from training.config import TrainingConfig
from training.families.base import load_family
from training.pipeline.assembly import GOLDEN_ROWS, Origin, assemble
from training.pipeline.preparation import Prepared, prepare
from training.pipeline.progress import no_stages
from training.runtime.bundle import Bundle, read_bundle, write_bundle
from training.runtime.graph_operators import EXPORTED
from training.runtime.inference import load_model
from training.search.trials import Best
from training.sources.base import serial_map

FAMILIES = [m.name for m in pkgutil.iter_modules(training.families.__path__) if m.name != "base"]
ORIGIN = Origin("any", datetime(2026, 1, 2, tzinfo=UTC), "unknown", seed=3)


class FixedTrial:
    """Stands in for an Optuna trial: takes the lowest of every range and the first of every choice."""

    def __init__(self) -> None:
        self.params: dict[str, object] = {}

    def suggest_categorical(self, name: str, choices: list[object]) -> object:
        return self.params.setdefault(name, choices[0])

    def suggest_int(self, name: str, low: int, high: int, **_: object) -> object:
        return self.params.setdefault(name, low)

    def suggest_float(self, name: str, low: float, high: float, **_: object) -> object:
        return self.params.setdefault(name, low)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    config = TrainingConfig.model_validate(load_sections(WORKLOADS, "toy")["training"])
    return prepare(toy_contract(), config, tmp_path_factory.mktemp("data"), 0, serial_map, no_stages)


@pytest.fixture(scope="module", params=[*FAMILIES, "toy.family"])
def bundle(
    request: pytest.FixtureRequest, prepared: Prepared, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    family, trial = load_family(request.param), FixedTrial()
    family.search_space(trial)
    if "epochs" in trial.params:
        trial.params["epochs"] = 2  # what it learns does not matter here
    if "trees" in trial.params:
        trial.params["trees"] = 50
    fitted = family.fit(trial.params, prepared.train, prepared.valid, 1, lambda *_: None)
    best = Best("t1", trial.params, 0.0, fitted.to_onnx())
    path: Path = tmp_path_factory.mktemp(request.param) / "bundle"
    return read_bundle(path, write_bundle(assemble(prepared, best, ORIGIN, 0.8), path), toy_contract())


pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)


def test_the_families_are_found() -> None:
    assert {"linear", "mlp", "random_forest"} <= set(FAMILIES)


def test_it_exports_no_operators_but_those_that_graphs_are_known_to_have(bundle: Bundle) -> None:
    graph = onnx.load_from_string(bundle.onnx).graph
    found = {f"{node.domain}:{node.op_type}".removeprefix(":") for node in graph.node}
    assert found <= EXPORTED


def test_it_reproduces_its_golden_outputs(bundle: Bundle) -> None:
    load_model(bundle)
    assert len(bundle.golden.raw) == GOLDEN_ROWS
    assert (bundle.golden.outputs["lower"] <= bundle.golden.outputs["prediction"]).all()
    assert (bundle.golden.outputs["prediction"] <= bundle.golden.outputs["upper"]).all()


def test_a_row_does_not_see_its_batch(bundle: Bundle) -> None:
    model, raw = load_model(bundle), toy_raw(130, seed=8)
    whole = model.predict(raw)
    for rows in ([0], [129], list(range(40, 71))):
        alone = model.predict(raw[rows])
        for name in ("prediction", "lower", "upper"):
            np.testing.assert_allclose(alone[name], whole[name][rows], rtol=1e-6)


def test_no_rows_give_no_predictions(bundle: Bundle) -> None:
    """The sessions of some families would end the process."""
    model = load_model(bundle)
    whole, none = model.predict(toy_raw(3, seed=8)), model.predict(toy_raw(3, seed=8)[:0])
    for name in ("prediction", "lower", "upper"):
        assert none[name].shape == (0, *whole[name].shape[1:])


def test_the_card_reports_held_out_metrics(bundle: Bundle, prepared: Prepared) -> None:
    test = prepared.splits.test
    got = load_model(bundle).predict(test.raw.astype(np.float64))
    inside = (got["lower"] <= test.target) & (test.target <= got["upper"])
    assert bundle.card.metrics["mae"] == pytest.approx(
        np.abs(got["prediction"] - test.target).mean(), rel=1e-4
    )
    assert bundle.card.metrics["coverage"] == pytest.approx(inside.mean(), abs=0.01)
    assert bundle.card.metrics["mean_width"] == pytest.approx((got["upper"] - got["lower"]).mean(), rel=1e-4)
    assert set(bundle.card.baselines) == {"product"}
    assert bundle.card.data_hash == prepared.data_hash
    assert len(bundle.reference.raw) == len(bundle.reference.features) > 100


def test_the_splits_share_no_entity(prepared: Prepared) -> None:
    groups = [set(part.group.tolist()) for part in vars(prepared.splits).values()]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 120
    assert [len(group) for group in groups] == [67, 15, 19, 19]


def test_the_split_hash_sees_every_number(prepared: Prepared) -> None:
    assert replace(prepared).split_hash == prepared.split_hash
    weight = prepared.valid.weight.copy()
    weight[-1] += 1e-3
    other = replace(prepared, valid=replace(prepared.valid, weight=weight))
    assert other.split_hash != prepared.split_hash
    assert other.data_hash == prepared.data_hash


def test_scaled_splits_are_standard(prepared: Prepared) -> None:
    np.testing.assert_allclose(prepared.train.x.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(prepared.train.x.std(axis=0), 1, atol=1e-5)
    assert prepared.train.weight.mean() == pytest.approx(1, abs=1e-5)
    assert prepared.valid.weight.mean() == pytest.approx(1, abs=1e-5)
