"""The page that compares arms and baselines."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from toy.parts import WORKLOADS, toy_contract, toy_parts, toy_raw

from features.config import load_contract
from features.contract import Contract
from features.windows import cut_windows
from features.workload import load_workload
from scripts.cli.results import _files
from scripts.replay.horizon_errors import Predictions, TimedPrediction
from scripts.replay.offline_evaluation import evaluate
from scripts.replay.plots.each import _times, draw_series
from scripts.replay.recordings import Recording
from scripts.replay.reports.apogee import REPORT
from scripts.replay.reports.base import load_report
from scripts.replay.reports.calories import cross_validated
from scripts.replay.reports.each import EachReport
from scripts.replay.results_page import Section, held_out, page
from scripts.replay.text_tables import TextTable
from tests.support.flights import fly, rows_of
from tests.support.models import make_parts
from training.runtime.inference import Model
from training.runtime.settings import REPOSITORY, Settings
from training.sources.calories import draw

ARMS = ["linear"]
CONFIGS = REPOSITORY / "configs" / "workloads"


def flight(contract: Contract, seed: int) -> Recording:
    samples, apogee_m = fly(seed)
    rows = np.array(rows_of(contract, samples))
    return Recording(f"flight-{seed}", "", rows, samples[:, 0], np.full(len(rows), apogee_m))


def things(rows: int, entity: str = "thing") -> Recording:
    raw = toy_raw(rows)
    return Recording(entity, "", raw, np.arange(float(rows)), raw[:, 0] * raw[:, 1])


def rows_named(table: TextTable) -> list[str]:
    return [row[0] for row in table.rows]


def test_models_and_baselines_see_the_same_windows(apogee: Contract) -> None:
    logs, model = [flight(apogee, 98), flight(apogee, 99)], Model(make_parts("linear"))
    found = evaluate(apogee, logs, {"linear": model})
    for log in logs:
        raw = np.array([window.values for window in cut_windows(apogee, log.rows.tolist())])
        assert list(found[log]) == ["linear", "ballistic", "drag_coast"]
        assert [p.value for p in found[log]["linear"]] == model.predict(raw)["prediction"].tolist()
        workload = load_workload(apogee)
        expected = workload.baselines(workload.features(raw))["ballistic"]
        assert [p.value for p in found[log]["ballistic"]] == expected.tolist()
        assert all(np.isnan(p.lower) for p in found[log]["ballistic"])
        assert {p.truth for p in found[log]["linear"]} == {log.truth}


def test_flights_have_medians_by_fraction_and_a_table_of_each_log(apogee: Contract) -> None:
    predictions = evaluate(
        apogee, [flight(apogee, 98), flight(apogee, 99)], {"linear": Model(make_parts("linear"))}
    )
    fast, every, each = REPORT.tables(apogee, predictions, ARMS)
    assert fast.title == "2 logs of 10 Hz and more"
    assert fast.header == ("", "at 0.5", "at 0.6", "at 0.7", "at 0.8", "in band")
    assert rows_named(fast) == rows_named(every) == ["linear", "ballistic", "drag_coast"]
    assert re.fullmatch(r"\d+\.\d % of 65", fast.rows[0][-1])
    assert fast.rows[1][-1] == "-"
    assert rows_named(each) == ["flight-98", "flight-99"]
    assert REPORT.best(apogee, predictions, ARMS) == "linear"


def test_rows_have_the_errors_of_their_contract_and_the_share_of_the_baseline() -> None:
    contract, model = toy_contract(), Model(toy_parts())
    predictions = evaluate(contract, [things(40), things(20, "other")], {"linear": model})
    headline, each = EachReport().tables(contract, predictions, ARMS)
    assert headline.title == "Errors in m2 over 60 predictions"
    assert headline.header == ("", "mae", "rmse", "mae / product", "in band")
    # the baseline of the toy is exact, so that there is no share of its error
    assert headline.rows[1] == ("product", "0", "0", "-", "-")
    errors = [abs(p.value - p.truth) for by_arm in predictions.values() for p in by_arm["linear"]]
    assert float(headline.rows[0][1]) == pytest.approx(np.mean(errors), rel=0.01)
    assert headline.rows[0][-1].endswith(" % of 60")
    assert rows_named(each) == ["thing", "other"]


def test_cases_without_a_truth_do_not_count() -> None:
    recording = things(10)
    known = Recording("some", "", recording.rows, recording.times, recording.targets.copy())
    known.targets[3:] = np.nan
    model = Model(toy_parts())
    table = EachReport().headline(toy_contract(), evaluate(toy_contract(), [known], {"linear": model}), ARMS)
    assert table.title == "Errors in m2 over 3 predictions"


def test_pictures_of_each_kind_are_drawn(apogee: Contract, tmp_path: Path) -> None:
    table = evaluate(toy_contract(), [things(40)], {"linear": Model(toy_parts()), "mlp": Model(toy_parts(1))})
    models = {"linear": Model(make_parts("linear")), "mlp": Model(make_parts("mlp", 1))}
    series = evaluate(apogee, [flight(apogee, 98), flight(apogee, 99)], models)
    drawn = {
        "table": [*EachReport().draw(tmp_path, toy_contract(), table, "mlp")],
        "series": [*EachReport().draw(tmp_path, apogee, series, "mlp")],
        "flights": [*REPORT.draw(tmp_path, apogee, series, "mlp")],
    }
    assert [path.name for path in drawn["table"]] == ["toy.png"]
    assert [path.name for path in drawn["series"]] == ["flight-98.png", "flight-99.png"]
    assert [len(paths) for paths in drawn.values()] == [1, 2, 2]
    assert all(path.read_bytes().startswith(b"\x89PNG") for paths in drawn.values() for path in paths)


def test_times_that_can_only_be_unix_time_are_drawn_as_dates(apogee: Contract, tmp_path: Path) -> None:
    since_1970 = [TimedPrediction.of_number(1.36e9 + 3600 * hour, 5, 4, 6, 5.5) for hour in range(400)]
    recording = flight(apogee, 98)
    path = draw_series(tmp_path, apogee, recording, {"mlp": since_1970}, "mlp")
    assert path.is_file()
    assert str(_times(since_1970)[0]) == "2013-02-04T17:46:40"
    assert _times(since_1970[:0]).tolist() == []


def test_pictures_are_drawn_without_any_answer(apogee: Contract, tmp_path: Path) -> None:
    nothing: Predictions = {flight(apogee, 98): {"mlp": []}}
    for report in (REPORT, EachReport()):
        (path,) = report.draw(tmp_path, apogee, nothing, "mlp")
        assert path.name == "flight-98.png"
    (path,) = EachReport().draw(tmp_path, toy_contract(), {things(3): {"mlp": []}}, "mlp")
    assert path.is_file()


def test_the_page_has_a_section_a_workload_with_its_command(apogee: Contract) -> None:
    parts = make_parts("linear")
    card = parts.card.model_copy(update={"metrics": {"mae": 2.0}, "baselines": {"ballistic": {"mae": 9.0}}})
    table = TextTable("Errors", ("", "mae"), (("linear", "1"),), "A note.")
    sections = [
        Section(
            contract, "About it.", [table], {"linear": card}, f"raysonde results {contract.workload} f.csv"
        )
        for contract in (apogee, toy_contract())
    ]
    text = page(sections, "raysonde results --data recorded")
    assert text.startswith("# Results\n")
    assert "```\nraysonde results --data recorded\n```" in text
    for section in text.split("\n## ")[1:]:
        name = section.splitlines()[0]
        assert f"```\nraysonde results {name} f.csv\n```" in section
        assert "### Errors\n\nA note.\n\n|  | mae |\n| --- | ---: |\n| linear | 1 |\n" in section
        assert "|  | mae | mae / ballistic |\n" in section
        assert "| linear | 2 | 0.222 |\n| ballistic | 9 | 1 |" in section
    assert rows_named(held_out(apogee, {"linear": card})) == ["linear", "ballistic"]


def test_a_page_needs_a_workload_with_its_file_or_a_directory(tmp_path: Path) -> None:
    settings = Settings(tmp_path, WORKLOADS, "sqlite://", "sqlite://")
    console = Console(quiet=True)
    with pytest.raises(ValueError, match="expected a workload and its file, or --data"):
        _files(console, settings, None, (), None)
    with pytest.raises(ValueError, match="got a directory and the file"):
        _files(console, settings, "toy", (tmp_path / "x.csv",), tmp_path)
    with pytest.raises(ValueError, match="nothing to compare in"):
        _files(console, settings, None, (), tmp_path)
    two = (tmp_path / "x.csv", tmp_path / "y.csv")
    assert _files(console, settings, "toy", two, None) == {"toy": two}


@pytest.mark.parametrize("workload", sorted(p.stem for p in CONFIGS.glob("*.yaml")))
def test_every_workload_has_a_report(workload: str) -> None:
    assert load_report(CONFIGS, load_contract(CONFIGS, workload)).about


def test_families_are_cross_validated_with_the_parameters_of_the_champions() -> None:
    contract = load_contract(CONFIGS, "calories")
    params = {"alpha": 0.1, "products": False, "huber_delta": 0.5}
    card = toy_parts().card.model_copy(update={"params": params})
    (table,) = cross_validated(contract, draw(3, range(100)), {"linear": card})
    assert table.title == "5-fold on 100 recorded rows"
    assert table.header == ("", "rmsle", "in the parts", "mae (kcal)")
    assert rows_named(table)[0] == "linear"
    assert "mean_by_duration" in rows_named(table)
