"""Which metrics a table shows is decided by those that there are."""

from __future__ import annotations

from scripts.cli.common.metric_columns import main_metric_columns, metric_columns

NUMBER = {"mae": 1.0, "rmse": 2.0, "median_ape_percent": 3.0, "coverage": 0.9, "mean_width": 4.0}
CLASSES = {
    "f1": 0.9712,
    "precision": 1.0,
    "recall": 0.9,
    "coverage": 0.91,
    "mean_set_size": 1.02,
    "log_loss": 0.1,
}
PATH = {
    "mean_error_m": 1234.4,
    "mean_error_60_s_m": 500.0,
    "mean_error_300_s_m": 2000.0,
    "mean_radius_m": 9.0,
}


def test_columns_follow_the_metrics() -> None:
    assert [c.heading for c in metric_columns(NUMBER)] == ["MAE", "RMSE", "APE", "coverage", "width"]
    assert [c.heading for c in metric_columns(NUMBER | {"rmsle": 1.0})][:3] == ["RMSLE", "MAE", "APE"]
    assert [c.heading for c in metric_columns(CLASSES)] == ["F1", "prec.", "recall", "coverage"]
    assert [c.heading for c in metric_columns(PATH)] == ["60 s", "300 s"]


def test_few_columns_are_those_that_all_models_have() -> None:
    assert [c.heading for c in main_metric_columns([NUMBER, NUMBER])] == ["MAE", "APE", "coverage"]
    assert [c.heading for c in main_metric_columns([NUMBER | {"rmsle": 1.0}])] == ["RMSLE", "APE", "coverage"]
    assert [c.heading for c in main_metric_columns([NUMBER | {"rmsle": 1.0}, NUMBER])] == [
        "MAE",
        "APE",
        "coverage",
    ]
    assert [c.heading for c in main_metric_columns([CLASSES])] == ["F1", "prec.", "coverage"]


def test_cells_have_the_digits_that_matter() -> None:
    cells = {c.heading: c.cell(CLASSES | PATH) for c in metric_columns(CLASSES | PATH)}
    assert (cells["F1"], cells["60 s"], cells["coverage"]) == ("0.9712", "500", "91.0%")
    assert metric_columns(NUMBER)[0].cell({}) == ""
