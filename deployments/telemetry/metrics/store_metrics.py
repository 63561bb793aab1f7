"""What is read off the store: true whoever was started anew, told once however many replicas there are."""

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


def store_samples(facts: WorkloadSnapshot, now: datetime) -> Samples:
    """All metrics of the origin `store`, but for `raysonde_workload_ready`, which it does not know.

    What was never measured is left out.
    """
    readings = Samples()
    _add_steps(readings, facts)
    if facts.page is not None and facts.seen_at is not None:
        page = MonitorPage.model_validate(facts.page)
        readings.put("raysonde_monitor_page_age_seconds", (now - facts.seen_at).total_seconds())
        readings.put("raysonde_monitor_up_to_date", float(page.up_to_date))
        _add_drift(readings, page)
        _add_windows(readings, sorted(page.windows.values(), key=lambda window: window.window_s))
    return readings


def window_name(window_s: float) -> str:
    """5m, 1h, 1d; the largest unit that needs no fraction."""
    for unit, unit_s in _UNITS_S:
        if window_s % unit_s == 0:
            return f"{window_s / unit_s:g}{unit}"
    return f"{window_s:g}s"


def _add_steps(readings: Samples, facts: WorkloadSnapshot) -> None:
    """Add versions, retrainings, promotions and drift. Counters are there from the start, at 0."""
    versions = facts.table.versions if facts.table else {}
    for arm, version in versions.items():
        readings.put("raysonde_model_info", 1.0, arm, version.model_version, version.bundle)
    for kind, state in dict.fromkeys([*product(DETECTORS, SETTLED_STATES), *facts.drift_events]):
        count = facts.drift_events.get((kind, state), 0)
        readings.put("raysonde_drift_events_total", count, kind, old_spelling(state))
    for outcome in RETRAINING_OUTCOMES:
        readings.put("raysonde_retrainings_total", facts.retrainings.get(outcome, 0), outcome)
    has_a_job = any(facts.retrainings.get(state) for state in _WITH_A_JOB)
    readings.put("raysonde_retraining_running", float(has_a_job))
    if facts.retrained_at is not None:
        readings.put("raysonde_retraining_last_timestamp_seconds", facts.retrained_at.timestamp())
    arms = dict.fromkeys([*(facts.table.arms if facts.table else ()), *(arm for arm, _ in facts.promotions)])
    for arm, outcome in product(arms, PROMOTION_OUTCOMES):
        readings.put("raysonde_promotions_total", facts.promotions.get((arm, outcome), 0), arm, outcome)


def _add_drift(readings: Samples, page: MonitorPage) -> None:
    for one in page.drift:
        # Prometheus takes an empty label for none
        key = (one.kind, one.subject or "all")
        readings.put("raysonde_drift_hot", float(one.state == "drifting"), *key)
        if one.score is not None:
            readings.put("raysonde_drift_score", one.score, *key)
    for arm, level in page.levels.items():
        readings.put("raysonde_region_nominal_ratio", level.nominal, arm)
        readings.put("raysonde_region_level_ratio", level.level, arm)


def _add_windows(readings: Samples, windows: list[Window]) -> None:
    """Of windows, shortest first."""
    for window in windows:
        for arm, seen in window.arms.items():
            _add_arm(readings, arm, window_name(window.window_s), seen)
    if not windows:
        return
    for arm, seen in windows[0].arms.items():
        readings.put("raysonde_window_prediction", _value_buckets(seen.histogram), arm)
    hour = next((window for window in windows if window.window_s >= _HOUR_S), windows[-1])
    for arm, seen in hour.arms.items():
        readings.put("raysonde_window_feedback_lag", _lag_buckets(seen.lag), arm)


def _add_arm(readings: Samples, arm: str, window: str, seen: ArmWindow) -> None:
    readings.put("raysonde_window_predictions", seen.predictions, arm, window)
    for metric, value in seen.metrics.items():
        if metric not in _COVERAGES:
            readings.put("raysonde_window_error", value, arm, window, metric)
    told: Mapping[str, float | None] = {
        "raysonde_window_region_coverage_ratio": seen.metrics.get("coverage"),
        "raysonde_window_truth_ratio": seen.truth_share,
        "raysonde_window_prediction_mean": seen.mean_prediction,
        "raysonde_window_feedback_lag_mean_seconds": seen.mean_lag_s,
    }
    for name, value_or_none in told.items():
        if value_or_none is not None:
            readings.put(name, value_or_none, arm, window)


def _value_buckets(bins: Iterable[ValueBin]) -> Buckets:
    """Bins that hold anything, smallest first. A gap between two of them is a bucket too."""
    bounds: list[float] = []
    counts: list[float] = []
    for one in bins:
        if not bounds or bounds[-1] < one.from_:
            bounds.append(one.from_)
            counts.append(0)
        bounds.append(one.to)
        counts.append(one.count)
    return Buckets.of_each(bounds, (*counts, 0))


def _lag_buckets(bins: Iterable[LagBin]) -> Buckets:
    counts = {one.up_to_s: one.count for one in bins}
    return Buckets.of_each(LAG_EDGES_S, [counts.get(edge, 0) for edge in (*LAG_EDGES_S, None)])
