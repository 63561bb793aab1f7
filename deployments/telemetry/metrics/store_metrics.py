"""The samples that are read from the store: no restart resets them, and no replica repeats them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import product

from deployments.domain.drift_state import SETTLED_STATES, old_spelling
from deployments.monitoring.values import LAG_EDGES_S
from deployments.monitoring.view import ArmWindow, LagBin, MonitorPage, ValueBin, Window
from deployments.store.metrics_snapshot import WorkloadSnapshot
from deployments.telemetry.metrics.catalogue import DETECTORS, PROMOTION_OUTCOMES, RETRAINING_OUTCOMES
from deployments.telemetry.metrics.samples import Buckets, Samples

# Shown for themselves, not among the metrics of the task.
_COVERAGES = ("coverage", "nominal_coverage")
_WITH_A_JOB = ("submitting", "running")
_HOUR_S = 3600.0
_UNITS_S = (("d", 86_400), ("h", 3600), ("m", 60))


def store_samples(snapshot: WorkloadSnapshot, now: datetime) -> Samples:
    """Make the samples of the origin `store`, but for `raysonde_workload_ready`, which it does not know.

    Metrics that were never measured are left out.
    """
    samples = Samples()
    _add_lifecycle(samples, snapshot)
    if snapshot.page is not None and snapshot.evaluated_at is not None:
        page = MonitorPage.model_validate(snapshot.page)
        samples.put("raysonde_monitor_page_age_seconds", (now - snapshot.evaluated_at).total_seconds())
        samples.put("raysonde_monitor_up_to_date", float(page.up_to_date))
        _add_drift(samples, page)
        _add_windows(samples, sorted(page.windows.values(), key=lambda window: window.window_s))
    return samples


def window_name(window_s: float) -> str:
    """Return a name such as 5m, 1h or 1d, in the largest unit that needs no fraction."""
    for unit, unit_s in _UNITS_S:
        if window_s % unit_s == 0:
            return f"{window_s / unit_s:g}{unit}"
    return f"{window_s:g}s"


def _add_lifecycle(samples: Samples, snapshot: WorkloadSnapshot) -> None:
    """Add versions, retrainings, promotions and drift. Counters are there from the start, at 0."""
    versions = snapshot.table.versions if snapshot.table else {}
    for arm, version in versions.items():
        samples.put("raysonde_model_info", 1.0, arm, version.model_version, version.bundle)
    for kind, state in dict.fromkeys([*product(DETECTORS, SETTLED_STATES), *snapshot.drift_events]):
        count = snapshot.drift_events.get((kind, state), 0)
        samples.put("raysonde_drift_events_total", count, kind, old_spelling(state))
    for outcome in RETRAINING_OUTCOMES:
        samples.put("raysonde_retrainings_total", snapshot.retrainings.get(outcome, 0), outcome)
    has_a_job = any(snapshot.retrainings.get(state) for state in _WITH_A_JOB)
    samples.put("raysonde_retraining_running", float(has_a_job))
    if snapshot.retrained_at is not None:
        samples.put("raysonde_retraining_last_timestamp_seconds", snapshot.retrained_at.timestamp())
    arms = dict.fromkeys(
        [*(snapshot.table.arms if snapshot.table else ()), *(arm for arm, _ in snapshot.promotions)]
    )
    for arm, outcome in product(arms, PROMOTION_OUTCOMES):
        samples.put("raysonde_promotions_total", snapshot.promotions.get((arm, outcome), 0), arm, outcome)


def _add_drift(samples: Samples, page: MonitorPage) -> None:
    for one in page.drift:
        # Prometheus takes an empty label for none
        key = (one.kind, one.subject or "all")
        samples.put("raysonde_drift_hot", float(one.state == "drifting"), *key)
        if one.score is not None:
            samples.put("raysonde_drift_score", one.score, *key)
    for arm, level in page.levels.items():
        samples.put("raysonde_region_nominal_ratio", level.nominal, arm)
        samples.put("raysonde_region_level_ratio", level.level, arm)


def _add_windows(samples: Samples, windows: list[Window]) -> None:
    """Add the metrics of windows, which come shortest first."""
    for window in windows:
        for arm, metrics in window.arms.items():
            _add_arm(samples, arm, window_name(window.window_s), metrics)
    if not windows:
        return
    for arm, metrics in windows[0].arms.items():
        samples.put("raysonde_window_prediction", _value_buckets(metrics.histogram), arm)
    hour = next((window for window in windows if window.window_s >= _HOUR_S), windows[-1])
    for arm, metrics in hour.arms.items():
        samples.put("raysonde_window_feedback_lag", _lag_buckets(metrics.lag), arm)


def _add_arm(samples: Samples, arm: str, window: str, metrics: ArmWindow) -> None:
    samples.put("raysonde_window_predictions", metrics.predictions, arm, window)
    for metric, value in metrics.metrics.items():
        if metric not in _COVERAGES:
            samples.put("raysonde_window_error", value, arm, window, metric)
    optional: Mapping[str, float | None] = {
        "raysonde_window_region_coverage_ratio": metrics.metrics.get("coverage"),
        "raysonde_window_truth_ratio": metrics.truth_share,
        "raysonde_window_prediction_mean": metrics.mean_prediction,
        "raysonde_window_feedback_lag_mean_seconds": metrics.mean_lag_s,
    }
    for name, value_or_none in optional.items():
        if value_or_none is not None:
            samples.put(name, value_or_none, arm, window)


def _value_buckets(bins: Iterable[ValueBin]) -> Buckets:
    """Make buckets of bins, which come smallest first. A gap between two of them is a bucket too."""
    bounds: list[float] = []
    counts: list[float] = []
    for one in bins:
        if not bounds or bounds[-1] < one.from_:
            bounds.append(one.from_)
            counts.append(0)
        bounds.append(one.to)
        counts.append(one.count)
    return Buckets.from_counts(bounds, (*counts, 0))


def _lag_buckets(bins: Iterable[LagBin]) -> Buckets:
    counts = {one.up_to_s: one.count for one in bins}
    return Buckets.from_counts(LAG_EDGES_S, [counts.get(edge, 0) for edge in (*LAG_EDGES_S, None)])
