"""The dashboard `drift`: whether the data still are like those of the training, and the Monitor works."""

from __future__ import annotations

from deployments.domain.drift_state import SETTLED_STATES, old_spelling
from scripts.rendering.dashboards.selectors import (
    ARM,
    LOSSES,
    OF_ARM,
    OF_WORKLOAD,
    WORKLOAD,
    grown,
    last,
    one,
    outlier_share,
    over_day,
    rate,
)
from scripts.rendering.dashboards.values import Dashboard, Panel, Query, Row, Word

_STATES = {0.0: Word("ok", "green"), 1.0: Word("drifting", "red")}
_DETECTOR = "{{workload}} {{detector}} {{subject}}"
_BAD_INPUT = 'kind=~"malformed|schema_version|too_large|invalid"'

_DETECTORS = (
    Panel(
        "Drifting detectors",
        "Of the inputs, of the quality of requests, of the loss of an arm, of the coverage of its regions.",
        one(last("raysonde_drift_hot", "workload", how="sum"), "{{workload}}"),
        kind="stat",
        height=6,
        limits=((1.0, "red"),),
    ),
    Panel(
        "The Monitor's last evaluation",
        "Seconds ago; there is one every 5. What is shown here is from then.",
        one(last("raysonde_monitor_page_age_seconds", "workload"), "{{workload}}"),
        unit="s",
        kind="stat",
        height=6,
        limits=((30.0, "orange"), (60.0, "red")),
    ),
    Panel(
        "The Monitor has read all",
        "While it has not, as after a restart, it evaluates no detector.",
        one(last("raysonde_monitor_up_to_date", "workload"), "{{workload}}"),
        kind="stat",
        height=6,
        words={0.0: Word("reading", "orange"), 1.0: Word("yes", "green")},
    ),
    Panel(
        "Detectors",
        "Drifting or ok. `GET /{workload}/drift/report` shows the inputs beside those of the training.",
        one(last("raysonde_drift_hot", "workload, detector, subject"), _DETECTOR),
        kind="state-timeline",
        width=12,
        words=_STATES,
    ),
    Panel(
        "Scores",
        "At 1 and above in two evaluations a detector is drifting, below 0.7 in six it is ok again.",
        one(last("raysonde_drift_score", "workload, detector, subject"), _DETECTOR),
        width=12,
        limits=((0.7, "orange"), (1.0, "red")),
    ),
    Panel(
        "Changes of state in a day",
        "How often detectors began to drift, and were ok again.",
        tuple(
            Query(
                grown(
                    "raysonde_drift_events_total",
                    "workload, detector",
                    "1d",
                    f'{OF_WORKLOAD}, state="{old_spelling(state)}"',
                ),
                f"{{{{workload}}}} {{{{detector}}}} {state}",
            )
            for state in SETTLED_STATES
        ),
        width=24,
        height=6,
    ),
)

_INPUTS = (
    Panel(
        "Requests rejected by the contract",
        "Share of the requests; a rise is a sender that has changed.",
        one(
            f"{rate('raysonde_errors_total', 'workload', f'{OF_WORKLOAD}, {_BAD_INPUT}')}"
            f" / {rate('raysonde_request_duration_seconds_count', 'workload')}",
            "{{workload}}",
        ),
        unit="percentunit",
        limits=((0.2, "red"),),
    ),
    Panel(
        "Outliers",
        "Share of instances that lie farther out than all of the training data's sample. 0.1% is usual.",
        one(
            outlier_share(),
            "{{workload}} {{arm}}",
        ),
        unit="percentunit",
        limits=((0.05, "orange"),),
    ),
    Panel(
        "Mean of the predictions: 5 minutes over the day",
        "1 is usual. Seasons and hours move it too.",
        one(
            over_day("raysonde_window_prediction_mean", "5m"),
            "{{workload}} {{arm}}",
        ),
        minimum=None,
    ),
)

_EFFECTS = (
    Panel(
        "Error: 5 minutes and the hour over the day",
        "1 is usual.",
        tuple(
            Query(
                over_day("raysonde_window_error", window, "workload, arm, metric", LOSSES),
                f"{{{{workload}}}} {{{{arm}}}} {{{{metric}}}} {window}",
            )
            for window in ("5m", "1h")
        ),
        limits=((1.5, "red"),),
    ),
    Panel(
        "Coverage less the nominal one",
        "Over the last hour. Within a tenth is usual.",
        one(
            "max by (workload, arm) ("
            f'raysonde_window_region_coverage_ratio{{{OF_ARM}, window="1h"}}'
            f" - on (workload, arm) group_left raysonde_region_nominal_ratio{{{OF_ARM}}})",
            "{{workload}} {{arm}}",
        ),
        unit="percentunit",
        minimum=None,
    ),
    Panel(
        "Level less the nominal one",
        "How much more regions have to be made for than when the model was new, so that they hold enough.",
        one(
            "max by (workload, arm) ("
            f"raysonde_region_level_ratio{{{OF_ARM}}} - raysonde_region_nominal_ratio{{{OF_ARM}}})",
            "{{workload}} {{arm}}",
        ),
        unit="percentunit",
        minimum=None,
    ),
)

DRIFT = Dashboard(
    "raysonde-drift",
    "raysonde: drift",
    "Whether the data still are like those of the training, and whether the Monitor works.",
    (WORKLOAD, ARM),
    (Row("Detectors", _DETECTORS), Row("Inputs", _INPUTS), Row("What it does to the answers", _EFFECTS)),
)
