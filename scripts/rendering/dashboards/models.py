"""The dashboard `models`: errors, regions, answers and versions."""

from __future__ import annotations

from scripts.rendering.dashboards.selectors import (
    ARM,
    LOSSES,
    OF_ARM,
    WINDOW,
    WORKLOAD,
    grown,
    last,
    one,
    outlier_share,
    over_day,
    rate,
)
from scripts.rendering.dashboards.values import YES_NO, Dashboard, Panel, Query, Row

_IN_WINDOW = f'{OF_ARM}, window="$window"'
_ARM_LEGEND = "{{workload}} {{arm}}"

_ERRORS = (
    Panel(
        "Errors",
        "Of the answers of the window whose truth has come, in the units of the target. Lower is better.",
        one(
            last(
                "raysonde_window_error",
                "workload, arm, metric",
                f'{_IN_WINDOW}, metric=~"mae|rmse|rmsle|log_loss|mean_error_m"',
            ),
            "{{workload}} {{arm}} {{metric}}",
        ),
        width=12,
        unit="none",
    ),
    Panel(
        "Error over that of the last day",
        "1 is usual; above 1.5 an alert says so.",
        one(
            over_day("raysonde_window_error", "$window", "workload, arm, metric", LOSSES),
            "{{workload}} {{arm}} {{metric}}",
        ),
        width=12,
        limits=((1.2, "orange"), (1.5, "red")),
    ),
    Panel(
        "Classes: accuracy, F1, precision, recall",
        "Of the positive class but for the accuracy; higher is better. Empty where no classes are predicted.",
        one(
            last(
                "raysonde_window_error",
                "workload, arm, metric",
                f'{_IN_WINDOW}, metric=~"accuracy|f1|precision|recall"',
            ),
            "{{workload}} {{arm}} {{metric}}",
        ),
        unit="percentunit",
        maximum=1.0,
    ),
    Panel(
        "Truths over predictions",
        "Of the window. Without truths nothing else of this page is known.",
        one(last("raysonde_window_truth_ratio", "workload, arm", _IN_WINDOW), _ARM_LEGEND),
        unit="percentunit",
        maximum=1.0,
    ),
    Panel(
        "Truths by outcome",
        "unmatched: early, kept until its prediction is written. conflicting: the first stands.",
        one(rate("raysonde_truths_total", "workload, outcome"), "{{workload}} {{outcome}}"),
        unit="cps",
    ),
)

_REGIONS = (
    Panel(
        "Coverage",
        "Share of the truths inside the regions, and the nominal one. Too much is too wide a region.",
        (
            Query(last("raysonde_window_region_coverage_ratio", "workload, arm", _IN_WINDOW), _ARM_LEGEND),
            Query(last("raysonde_region_nominal_ratio", "workload, arm", OF_ARM), f"{_ARM_LEGEND} nominal"),
        ),
        unit="percentunit",
        minimum=None,
        maximum=1.0,
    ),
    Panel(
        "Level of the regions",
        "At which they are made now, so that they hold the nominal share. Far above it the model errs more "
        "than when it was new.",
        one(last("raysonde_region_level_ratio", "workload, arm", OF_ARM), _ARM_LEGEND),
        unit="percentunit",
        minimum=None,
        maximum=1.0,
    ),
    Panel(
        "Size of the regions",
        "Mean width, radius in m, or number of classes, over the window.",
        one(
            last(
                "raysonde_window_error",
                "workload, arm, metric",
                f'{_IN_WINDOW}, metric=~"mean_(width|radius_m|set_size)"',
            ),
            "{{workload}} {{arm}} {{metric}}",
        ),
        unit="none",
    ),
)

_ANSWERS = (
    Panel(
        "Predictions: mean",
        "Of the predicted number, the positive class's probability, or the altitude at the end of a path.",
        one(last("raysonde_window_prediction_mean", "workload, arm", _IN_WINDOW), _ARM_LEGEND),
        unit="none",
        minimum=None,
    ),
    Panel(
        "Predictions: 5%, half and 95% below",
        "Of the same numbers, over the last 5 minutes.",
        tuple(
            Query(
                f"histogram_quantile({share:g}, "
                f"{last('raysonde_window_prediction_bucket', 'workload, arm, le', OF_ARM)})",
                f"{_ARM_LEGEND} {100 * share:g}%",
            )
            for share in (0.05, 0.5, 0.95)
        ),
        unit="none",
        minimum=None,
    ),
    Panel(
        "Predictions by class",
        "Empty where numbers or paths are predicted.",
        one(
            rate("raysonde_predicted_classes_total", "workload, arm, class", OF_ARM),
            "{{workload}} {{arm}} {{class}}",
        ),
        unit="cps",
        stacked=True,
    ),
    Panel(
        "Feedback lag",
        "From answer to truth, mean over the window.",
        one(last("raysonde_window_feedback_lag_mean_seconds", "workload, arm", _IN_WINDOW), _ARM_LEGEND),
        unit="s",
    ),
    Panel(
        "Feedback lags of the last hour",
        "How many truths took up to how long.",
        one(last("raysonde_window_feedback_lag_bucket", "le", OF_ARM, how="sum"), "{{le}}"),
        unit="s",
        kind="heatmap",
        minimum=None,
    ),
    Panel(
        "Outliers",
        "Share of instances that lie farther out than all of the training data's sample. 0.1% is usual.",
        one(
            outlier_share(),
            _ARM_LEGEND,
        ),
        unit="percentunit",
        limits=((0.05, "orange"),),
    ),
)

_VERSIONS = (
    Panel(
        "Versions in service",
        "What each arm serves; an ensemble has the versions of its members.",
        one(last("raysonde_model_info", "workload, arm, model_version, bundle", OF_ARM), ""),
        kind="table",
        width=24,
    ),
    Panel(
        "Since the last retraining",
        "Empty before the first. The routine check comes after a day, if there are truths to learn from.",
        one(f"time() - {last('raysonde_retraining_last_timestamp_seconds', 'workload')}", "{{workload}}"),
        unit="s",
        kind="stat",
        limits=((2 * 86_400.0, "orange"),),
    ),
    Panel(
        "A retraining runs",
        "1 while one has a job.",
        one(last("raysonde_retraining_running", "workload"), "{{workload}}"),
        kind="state-timeline",
        words=YES_NO,
    ),
    Panel(
        "Retrainings and promotions of a day",
        "Those that have ended, by outcome.",
        (
            Query(
                grown("raysonde_retrainings_total", "workload, outcome", "1d"),
                "{{workload}} retraining {{outcome}}",
            ),
            Query(
                grown("raysonde_promotions_total", "workload, arm, outcome", "1d", OF_ARM),
                "{{workload}} {{arm}} {{outcome}}",
            ),
        ),
    ),
    Panel(
        "Shadows",
        "Answers that were copied to shadows, copies that were dropped, and calls that failed.",
        (
            Query(rate("raysonde_shadow_answers_total", "workload, arm", OF_ARM), f"{_ARM_LEGEND} answers"),
            Query(rate("raysonde_shadow_dropped_total", "workload, arm", OF_ARM), f"{_ARM_LEGEND} dropped"),
            Query(rate("raysonde_shadow_failures_total", "workload, arm", OF_ARM), f"{_ARM_LEGEND} failed"),
        ),
        unit="cps",
        width=24,
    ),
)

MODELS = Dashboard(
    "raysonde-models",
    "raysonde: models",
    "Errors, regions and answers of the models, and their versions.",
    (WORKLOAD, ARM, WINDOW),
    (Row("Errors", _ERRORS), Row("Regions", _REGIONS), Row("Answers", _ANSWERS), Row("Versions", _VERSIONS)),
)
