"""The pure parts of the demonstration: its rule, its events, its files; nothing is started."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deployments.domain.promotion import InterimLook, Promotion
from deployments.domain.retraining import ArmResult, Attempt, Request, Retraining
from deployments.domain.routing import ArmVersion, RoutingPolicy
from deployments.monitoring.settings import MonitoringSettings
from deployments.monitoring.view import DetectorState, MonitorPage
from features.config import load_contract, load_sections
from scripts.cli.main import app
from scripts.demo.error_course import ErrorCourse, EvaluatedPrediction
from scripts.demo.observations import Event, Snapshot, observe
from scripts.demo.picture import draw, drift_spans, version_spans
from scripts.demo.plan import SHORT, USUAL, HealPlan, HealRule, calm_cases, cases_of_wave
from scripts.demo.synthetic_weather import WORKLOAD, sections, write
from scripts.demo.timeline import STEPS, Timeline
from scripts.demo.workspace import Workspace
from training.config import TrainingConfig
from training.runtime.promotion_config import PromotionConfig
from training.runtime.retraining_config import RetrainingConfig
from training.runtime.settings import REPOSITORY
from training.search.fixed_hyperparameters import check_fixed

BEGUN = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORKLOADS = REPOSITORY / "configs" / "workloads"
RULE = HealRule(truths=4, factor=1.5)


def at(seconds: float) -> datetime:
    return BEGUN + timedelta(seconds=seconds)


def elapsed(time: datetime) -> float:
    return (time - BEGUN).total_seconds()


def page(*detectors: DetectorState) -> MonitorPage:
    return MonitorPage(workload="w", at=BEGUN, up_to_date=True, windows={}, drift=list(detectors), levels={})


def detector(state: str, since_s: float | None, kind: str = "concept", subject: str = "a") -> DetectorState:
    since = None if since_s is None else at(since_s)
    return DetectorState(
        kind=kind, subject=subject, state=state, since=since, score=1.0, reason="why", evidence={}
    )


def retraining(**changes: Any) -> Retraining:
    request = Request(reason="drift", at=at(12), by="monitor", note="concept: why", since=at(11))
    return Retraining(
        id="r", workload="w", state="waiting", requests=(request,), created_at=at(12)
    ).model_copy(update=changes)


def promotion(state: str, since_s: float, **changes: Any) -> Promotion:
    one, two = (ArmVersion(model_version=v, bundle=v, source="") for v in "12")
    return Promotion.model_validate(
        {
            "id": "c",
            "workload": "w",
            "arm": "a",
            "state": state,
            "model_version": "2",
            "candidate": two,
            "predecessor": one,
            "by": "gate",
            "created_at": at(30),
            "state_since": at(since_s),
            "reason": "It is better.",
        }
        | changes
    )


def course_of(*errors: float, arm: str = "a", version: str = "1") -> ErrorCourse:
    course = ErrorCourse(RULE.truths)
    for number, error in enumerate(errors):
        course.add(EvaluatedPrediction(float(number), arm, version, error))
    return course


def new_timeline(wave_s: float = 8.0) -> Timeline:
    return Timeline(RULE, wave_s, "12 K", elapsed, "K")


def test_the_error_is_that_of_the_newest() -> None:
    course = course_of(3.0, 1.0, -1.0, 1.0, 1.0, 2.0)
    assert course.points == [(3.0, pytest.approx(3**0.5)), (4.0, 1.0), (5.0, pytest.approx((7 / 4) ** 0.5))]
    assert course.before(2.0) == pytest.approx(5**0.5)
    assert course.before(0.0) is None
    assert course_of(1.0).now is None


def test_the_error_goes_up_and_is_back_only_after_a_promotion() -> None:
    timeline, course = new_timeline(), course_of(*[1.0] * 8)
    assert timeline.update(Snapshot(7.5), course) == []
    assert [event.kind for event in timeline.update(Snapshot(8.0), course)] == ["wave"]
    assert timeline.calm == 1.0
    for number in range(8, 12):
        course.add(EvaluatedPrediction(float(number), "a", "1", 2.0))
    assert [event.kind for event in timeline.update(Snapshot(12.0), course)] == ["high"]
    for number in range(12, 16):
        course.add(EvaluatedPrediction(float(number), "a", "1", 1.2))
    assert timeline.update(Snapshot(16.0), course) == []
    assert timeline.missing == STEPS["drifting"]
    snapshot = Snapshot(17.0, promotions=(promotion("probation", 16.5),))
    assert [event.kind for event in timeline.update(snapshot, course)] == ["probation"]
    healed = timeline.update(Snapshot(18.0, promotions=snapshot.promotions), course)
    assert [(event.kind, event.at_s) for event in healed] == [("healed", 18.0)]
    assert healed[0].numbers == {"error": pytest.approx(1.2), "times_calm": pytest.approx(1.2)}
    assert timeline.update(Snapshot(19.0, promotions=snapshot.promotions), course) == []
    assert timeline.healed_s == 18.0


def test_an_error_that_stays_high_is_not_healed() -> None:
    timeline, course = new_timeline(), course_of(*[1.0] * 8, *[2.0] * 8)
    promoted = (promotion("probation", 10),)
    for second in (8.0, 9.0, 10.0, 11.0):
        timeline.update(Snapshot(second, promotions=promoted), course)
    assert timeline.healed_s is None
    assert timeline.steps["high"] == 9.0
    assert timeline.steps["probation"] == 10.0


def test_each_event_is_noted_once_with_its_time() -> None:
    timeline, course = new_timeline(), ErrorCourse(RULE.truths)
    first = timeline.update(Snapshot(13.0, page(detector("drifting", 11)), (retraining(),)), course)
    assert [(event.kind, event.at_s, event.subject) for event in first] == [
        ("drifting", 11.0, "concept a"),
        ("asked", 12.0, ""),
    ]
    assert timeline.update(Snapshot(14.0, page(detector("drifting", 11)), (retraining(),)), course) == []
    running = retraining(state="running", attempts=(Attempt(job="j", at=at(20)),), started_at=at(20))
    assert [event.kind for event in timeline.update(Snapshot(21.0, retrainings=(running,)), course)] == [
        "job"
    ]
    assert "since 11 s" in timeline.events[-1].text
    result = ArmResult(model_version="2", bundle="b", passed=True, reasons=("Good.",), numbers={"gain": 1.0})
    done = running.model_copy(update={"state": "done", "ended_at": at(30), "arms": {"a": result}})
    ended = timeline.update(Snapshot(31.0, page(detector("ok", 25)), (done,)), course)
    assert [(event.kind, event.at_s) for event in ended] == [("ok", 25.0), ("passed", 30.0), ("done", 30.0)]
    assert ended[1].numbers == {"gain": 1.0}
    assert ended[2].text == "1 models in 10 s"


def test_which_detectors_are_drifting() -> None:
    timeline, course = new_timeline(), ErrorCourse(RULE.truths)
    timeline.update(
        Snapshot(12.0, page(detector("drifting", 11), detector("drifting", 10, "input", ""))), course
    )
    assert timeline.drifting == ["concept a", "input"]
    timeline.update(Snapshot(14.0, page(detector("drifting", 11), detector("ok", 13, "input", ""))), course)
    assert timeline.drifting == ["concept a"]


def test_a_detector_that_never_changed_has_no_event() -> None:
    assert (
        observe(Snapshot(5.0, page(detector("insufficient_data", None), detector("ok", None))), elapsed) == []
    )


def test_interim_looks_and_states_of_a_promotion() -> None:
    look = InterimLook(phase="shadowing", at=at(40), truths=90, passed=True, reasons=("Better.",), numbers={})
    found = observe(Snapshot(60.0, promotions=(promotion("promoting", 41, looks=(look,)),)), elapsed)
    assert [(event.kind, event.at_s) for _, event in found] == [
        ("better", 40.0),
        ("promoting", 41.0),
    ]
    assert found[-1][1].text == "a 2 is about to take over"
    failed = retraining(state="failed", ended_at=at(50), failure="no pair")
    assert [event.text for _, event in observe(Snapshot(60.0, retrainings=(failed,)), elapsed)][
        -1
    ] == "no pair"


def test_spans_of_the_picture() -> None:
    events = [
        Event(5, "drifting", "", "input"),
        Event(4, "drifting", "", "concept a"),
        Event(9, "ok", "", "concept a"),
        Event(7, "job", ""),
        Event(12, "drifting", "", "concept a"),
        Event(1, "ok", "", "quality"),
    ]
    assert drift_spans(events, 20.0) == {"concept a": [(4, 9), (12, 20)], "input": [(5, 20)]}
    evaluated = [
        EvaluatedPrediction(t, arm, v, 0.0)
        for t, arm, v in ((1, "a", "1"), (2, "b", "1"), (3, "a", "2"), (9, "b", "1"))
    ]
    assert version_spans(evaluated, "a") == [("1", (1, 3)), ("2", (3, 9))]
    assert version_spans(evaluated, "b") == [("1", (2, 9))]


def test_the_picture_of_a_run_and_of_one_that_was_cut_off(tmp_path: Path) -> None:
    timeline, course = new_timeline(), course_of(*[1.0] * 8, *[2.0] * 8)
    timeline.update(Snapshot(16.0, page(detector("drifting", 11))), course)
    timeline.update(Snapshot(17.0), course)
    assert draw(tmp_path, timeline, course, RULE).stat().st_size > 10_000
    assert draw(tmp_path, new_timeline(), ErrorCourse(4), RULE).exists()


def test_the_workload_of_the_demonstration_is_weather_with_other_settings(tmp_path: Path) -> None:
    write(tmp_path, USUAL)
    own = load_sections(tmp_path, WORKLOAD)
    assert load_contract(tmp_path, WORKLOAD) == load_contract(WORKLOADS, WORKLOAD)
    assert own == json.loads(json.dumps(sections(USUAL)))
    training = TrainingConfig.model_validate(own["training"])
    check_fixed(training.search)
    assert training.families == ("gru", "ridge")
    assert RoutingPolicy.model_validate(own["routing"]).weights == {"gru": 0.7, "ridge": 0.3}
    assert MonitoringSettings.model_validate(own["monitoring"]).detection_windows_s == (20, 40)
    assert RetrainingConfig.model_validate(own["retraining"]).every_h is None
    assert PromotionConfig.model_validate(own["promotion"]).automatic


@pytest.mark.parametrize("plan", [USUAL, SHORT])
def test_the_wave_begins_when_the_calm_is_over(plan: HealPlan) -> None:
    contract = load_contract(WORKLOADS, WORKLOAD)
    wave = plan.wave(seed=3, duration_s=plan.calm_s + 5)
    cases = cases_of_wave(contract, wave)
    assert calm_cases(wave, cases) / plan.rate_per_s == pytest.approx(plan.calm_s, abs=0.2)
    assert len(cases) / plan.rate_per_s == pytest.approx(plan.calm_s + 5, abs=0.3)
    assert [case.recording.entity for case in cases[: plan.stations]] == [
        f"heatwave-{number}" for number in range(plan.stations)
    ]
    assert all(case.known for case in cases)


def test_each_run_begins_with_the_first_models_and_an_empty_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RAYSONDE_VAR", "RAYSONDE_WORKLOADS", "PYTHONPATH", "RAYSONDE_STORE_URL"):
        monkeypatch.setenv(name, "before")
    monkeypatch.syspath_prepend("nowhere")
    workspace = Workspace(tmp_path / "demo")
    settings = workspace.prepare(USUAL)
    assert settings.var == workspace.var
    assert settings.store_url == f"sqlite:///{workspace.var}/store.db"
    assert load_sections(settings.workloads, WORKLOAD)["promotion"] == sections(USUAL)["promotion"]
    (workspace.var / "mlflow").mkdir()
    model = workspace.var / "mlflow" / "mlflow.db"
    model.write_text("first")
    workspace.keep_first_models()
    model.write_text("first and second")
    for name in ("store.db", "store.db-wal"):
        (workspace.var / name).write_text("rows")
    workspace.keep_first_models()
    workspace.reset()
    assert model.read_text() == "first"
    assert not list(workspace.var.glob("store.db*"))
    workspace.forget_first_models()
    workspace.reset()
    assert not model.exists()


def test_help_lists_the_demonstrations() -> None:
    result = CliRunner().invoke(app, ["demo", "--help"])
    assert result.exit_code == 0
    assert " heal " in result.output
    usage = CliRunner().invoke(app, ["demo", "heal", "--help"])
    assert usage.exit_code == 0
    assert "raysonde demo heal --seed 3" in usage.output
