"""The page that compares arms and baselines."""

from __future__ import annotations

import numpy as np

from features.contract import Contract
from features.windows import windows_of
from features.workload import load_workload
from scripts.evaluation import evaluate
from scripts.recordings import Recording
from scripts.results_page import page
from tests.support.flights import fly, rows_of
from tests.support.models import make_parts
from training.inference import Model


def recording(contract: Contract, seed: int) -> Recording:
    samples, apogee_m = fly(seed)
    rows = np.array(rows_of(contract, samples))
    return Recording(f"flight-{seed}", "", rows, apogee_m, float(rows[-1, 0]), 20.0)


def test_models_and_baselines_see_the_same_windows(apogee: Contract) -> None:
    log, model = recording(apogee, 99), Model(make_parts("linear"))
    raw = np.array([window.values for window in windows_of(apogee, log.rows.tolist())])
    said = evaluate(apogee, log, {"linear": model})
    assert list(said) == ["linear", "ballistic", "drag_coast"]
    assert [p.value for p in said["linear"]] == model.predict(raw).value.tolist()
    workload = load_workload(apogee)
    expected = workload.baselines(workload.features(raw))["ballistic"]
    assert [p.value for p in said["ballistic"]] == expected.tolist()
    assert all(np.isnan(p.lower) for p in said["ballistic"])


def test_the_page_has_a_row_an_arm_and_baseline_and_the_command(apogee: Contract) -> None:
    model = Model(make_parts("linear"))
    predictions = {
        log: evaluate(apogee, log, {"linear": model})
        for log in (recording(apogee, 98), recording(apogee, 99))
    }
    text = page(apogee, predictions, {"linear": model.bundle.card}, "raysonde results apogee flights.csv")
    assert "```\nraysonde results apogee flights.csv\n```" in text
    assert "## 2 logs of 10 Hz and more" in text
    table = text.split("## 2 logs of 10 Hz and more")[1].split("##")[0].strip().splitlines()
    assert [line.split(" | ")[0] for line in table] == [
        "| ",
        "| ---",
        "| linear",
        "| ballistic",
        "| drag_coast",
    ]
    assert table[2].count("%") == 1
    assert table[3].endswith("| - |")


def test_the_page_is_the_same_each_time(apogee: Contract) -> None:
    model = Model(make_parts("linear"))
    predictions = {log: evaluate(apogee, log, {"linear": model}) for log in (recording(apogee, 98),)}
    pages = {page(apogee, predictions, {"linear": model.bundle.card}, "c") for _ in range(2)}
    assert len(pages) == 1
