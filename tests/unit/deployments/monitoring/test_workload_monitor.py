"""The monitor of one workload, row by row: what counts towards what, and what a restart goes on from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.monitoring.arm_monitor import ArmMemory, ServedBundle
from deployments.monitoring.settings import (
    CalibrationSettings,
    ConceptSettings,
    HysteresisSettings,
    InputSettings,
    MonitoringSettings,
    QualitySettings,
)
from deployments.monitoring.workload_monitor import MonitorMemory, WorkloadMonitor
from deployments.store.monitor_feed import ArmLevel, DriftEvent
from deployments.store.monitored import (
    MonitoredPrediction,
    MonitoredRejections,
    MonitoredRepeat,
    MonitoredTruth,
)
from features.config import BUILT_IN, load_contract
from training.runtime.tasks.intervals import IntervalCalibration

CONTRACT = load_contract(BUILT_IN, "calories")
NOW = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
CALIBRATION = IntervalCalibration(
    coverage=0.9, knots=(0.0,), scales=(1.0,), levels=(0.5, 0.9), scores=(1.0, 2.0)
)
SERVED = ServedBundle("sha256:0", CALIBRATION)
SETTINGS = MonitoringSettings(
    windows_s=(300.0, 3600.0),
    detection_windows_s=(10.0, 60.0),
    hysteresis=HysteresisSettings(confirm=1, settle=1),
    input=InputSettings(against="before", min_rows=10, ignore=("age_*",)),
    quality=QualitySettings(min_rows=10),
    concept=ConceptSettings(batch=2),
    calibration=CalibrationSettings(min_truths=10),
)


def monitor(*, memory: MonitorMemory | None = None, last: Any = None, **changes: Any) -> WorkloadMonitor:
    return WorkloadMonitor(CONTRACT, SETTINGS.model_copy(update=changes), last, memory)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def payload(rng: np.random.Generator, weight_kg: float) -> str:
    weight = rng.normal(weight_kg, 5)
    return json.dumps({**CONTRACT.example, "Weight": weight, "Height": rng.normal(175, 5)})


def rows(
    at: datetime, count: int, *, weight_kg: float = 80.0, entity: str | None = None, seed: int = 0
) -> list[MonitoredPrediction]:
    """Answers of one time, each about another person by default."""
    rng = np.random.default_rng([seed, count])
    return [
        MonitoredPrediction(
            number,
            entity or str(number),
            "mlp",
            "1",
            SERVED.bundle,
            False,
            at,
            {"Calories": 50.0},
            {},
            payload(rng, weight_kg),
            0.5,
        )
        for number in range(count)
    ]


def truth(seq: int, error: float = 0.0, **changes: Any) -> MonitoredTruth:
    """A pair of an answer with the band 40 to 60 around 50."""
    members: dict[str, Any] = {
        "seq": seq,
        "arm": "mlp",
        "bundle": SERVED.bundle,
        "created_at": NOW,
        "received_at": NOW + timedelta(seconds=1),
        "prediction": {"Calories": 50.0},
        "interval": {"Calories": [40.0, 60.0]},
        "coverage": 0.9,
        "truth": {"Calories": 50.0 + error},
    }
    return MonitoredTruth(**{**members, **changes})


def features(count: int = 100, weight_kg: float = 80.0) -> NDArray[np.float64]:
    found = monitor().payload_features(row.payload for row in rows(NOW, count, weight_kg=weight_kg))
    assert found is not None
    return found


REFERENCE = features()


def learnt(one: WorkloadMonitor, arm: str = "mlp") -> int:
    return one.page(NOW, True).levels[arm].truths


def evidence(one: WorkloadMonitor, kind: str, subject: str = "") -> dict[str, Any]:
    (found,) = (row for row in one.page(NOW, True).drift if (row.kind, row.subject) == (kind, subject))
    return found.evidence


def test_a_memory_is_stored_as_json_and_an_empty_one_is_read_as_none() -> None:
    arm = ArmMemory("sha256:0", {"mean": 1.0, "deviation": 0.1, "by": "ADWIN", "peak": 3.0}, 0.08, 70)
    memory = MonitorMemory({"mlp": arm}, {"refused": 0.1}, [1.0, 2.0])
    assert MonitorMemory.from_json(json.loads(json.dumps(memory.to_json()))) == memory
    assert memory.to_json().keys() == {"arms", "quality_reference", "input_reference"}
    assert MonitorMemory.from_json({}) == MonitorMemory() == MonitorMemory({}, None, None)


def test_a_truth_teaches_the_arm_whose_bundle_it_is_of_and_counts_in_the_window_anyway() -> None:
    one = monitor()
    one.set_served({"mlp": SERVED})
    pairs = [truth(1), truth(2, bundle="sha256:1"), truth(3, arm="linear"), truth(4)]
    one.add_truths(pairs)
    assert learnt(one) == 2
    window = one.page(NOW, True).windows["300_s"]
    assert (window.arms["mlp"].truths, window.arms["linear"].truths, window.truths.joined) == (3, 1, 4)


@pytest.mark.parametrize(
    "changes",
    [
        {"truth": {"apogee_m": 1.0}},
        {"truth": {"Calories": "many"}},
        {"prediction": {}},
        {"interval": {"Calories": []}},
        {"truth": {"Calories": {}}},
        {"truth": {"Calories": None}},
    ],
)
def test_a_pair_that_is_not_of_this_target_is_passed_over_and_those_after_it_are_not(
    changes: dict[str, Any],
) -> None:
    one = monitor()
    one.set_served({"mlp": SERVED})
    one.add_truths([truth(1, **changes), truth(2)])
    assert learnt(one) == 1
    assert one.page(NOW, True).windows["300_s"].truths.joined == 1


def test_what_was_learnt_before_counts_towards_the_coverage_and_teaches_nothing() -> None:
    one = monitor()
    one.set_served({"mlp": SERVED})
    one.add_truths([truth(seq, error=99.0) for seq in range(1, 21)], learnt_up_to=18)
    assert learnt(one) == 2
    (event,) = one.evaluate(NOW)
    assert (event.kind, event.subject, event.state) == ("calibration", "mlp", "drifting")
    assert evidence(one, "calibration", "mlp")["truths"] == 20


def test_an_arm_keeps_its_state_as_long_as_its_bundle() -> None:
    one = monitor()
    one.set_served({"mlp": SERVED, "linear": SERVED})
    one.add_truths([truth(1), truth(2, arm="linear")])
    one.set_served({"mlp": ServedBundle(SERVED.bundle, CALIBRATION), "linear": SERVED})
    assert (learnt(one), learnt(one, "linear")) == (1, 1)
    one.set_served({"mlp": ServedBundle("sha256:1", CALIBRATION)})
    assert learnt(one) == 0
    assert one.page(NOW, True).levels.keys() == {"mlp"}
    one.set_served({"linear": SERVED})
    assert learnt(one, "linear") == 0


def test_a_restarted_monitor_goes_on_from_the_memory_of_the_bundle_that_is_served() -> None:
    one = monitor()
    one.set_served({"mlp": SERVED})
    one.add_truths([truth(seq, error=99.0) for seq in range(1, 4)])
    memory = one.memory()
    assert memory.arms.keys() == {"mlp"}
    again = monitor(memory=memory)
    assert again.memory() == memory, "what is not served yet is not forgotten"
    again.set_served({"mlp": SERVED, "linear": SERVED})
    assert (learnt(again), learnt(again, "linear")) == (3, 0)
    assert again.levels()[1] == one.levels()[0]
    again.add_truths([truth(4)])
    assert again.memory().arms["mlp"].truths == 4
    new = monitor(memory=memory)
    new.set_served({"mlp": ServedBundle("sha256:1", CALIBRATION)})
    assert learnt(new) == 0


def test_levels_are_those_of_arms_that_have_one_by_name() -> None:
    one = monitor()
    one.set_served({"mlp": SERVED, "blend": ServedBundle("sha256:2", None), "linear": SERVED})
    one.add_truths([truth(1, error=99.0), truth(2, arm="blend", bundle="sha256:2")])
    assert one.levels() == [ArmLevel("linear", "sha256:0", 0.9), ArmLevel("mlp", "sha256:0", 0.909)]
    shown = one.page(NOW, True).levels
    assert list(shown) == ["linear", "mlp"]
    assert shown["mlp"].served
    kept = monitor(serve_levels=False)
    kept.set_served({"mlp": SERVED})
    kept.add_truths([truth(1, error=99.0)])
    assert kept.levels() == []
    assert (kept.page(NOW, True).levels["mlp"].level, kept.page(NOW, True).levels["mlp"].served) == (
        0.909,
        False,
    )


def test_the_page() -> None:
    one = monitor()
    one.add_predictions(rows(ago(1000), 3), NOW)
    one.add_predictions(rows(NOW, 2), NOW)
    one.add_truths([truth(1), truth(2, created_at=ago(1000))])
    one.add_repeats([MonitoredRepeat(1, NOW, True), MonitoredRepeat(2, NOW, False)])
    page = one.page(NOW, False)
    assert (page.workload, page.at, page.up_to_date, page.drift, page.levels) == (
        "calories",
        NOW,
        False,
        [],
        {},
    )
    assert [(name, window.window_s) for name, window in page.windows.items()] == [
        ("300_s", 300.0),
        ("3600_s", 3600.0),
    ]
    assert [window.arms["mlp"].predictions for window in page.windows.values()] == [2, 5]
    assert [window.truths.joined for window in page.windows.values()] == [1, 2]
    assert (page.windows["300_s"].truths.repeated, page.windows["300_s"].truths.conflicting) == (1, 1)
    assert one.page(NOW, True).up_to_date


def test_payloads_that_the_contract_does_not_take_are_left_out() -> None:
    (good,) = rows(NOW, 1)
    one = monitor()
    wrong = ["[]", json.dumps({**CONTRACT.example, "Weight": 1e9}), json.dumps({"Weight": 80})]
    found = one.payload_features([*wrong, good.payload, wrong[0], good.payload])
    assert found is not None
    assert found.shape == (2, 13)
    assert one.payload_features(wrong) is None
    assert one.payload_features([]) is None


def against_reference(**changes: Any) -> WorkloadMonitor:
    settings = InputSettings(**{"min_rows": 10, **changes})
    one = monitor(input=settings)
    one.set_reference(REFERENCE)
    return one


def test_features_count_in_the_bucket_of_their_answer() -> None:
    one = against_reference(rows_per_entity=2)
    one.add_predictions(
        [*rows(ago(30), 20, entity="a"), *rows(NOW, 11, entity="b"), *rows(NOW, 12, entity="c")], NOW
    )
    one.evaluate(NOW)
    assert evidence(one, "input")["window_s"] in (10.0, 60.0)
    short = against_reference(rows_per_entity=2)
    short.settings = short.settings.model_copy(update={"detection_windows_s": (10.0,)})
    short.add_predictions([*rows(ago(30), 20, entity="a"), *rows(NOW, 23, entity="b")], NOW)
    short.evaluate(NOW)
    found = evidence(short, "input")
    assert (found["rows"], found["independent_rows"]) == (23, 2)


def test_rows_beyond_those_of_a_second_are_passed_over() -> None:
    one = against_reference(most_rows_per_s=1.5)
    one.add_predictions(rows(ago(20), 40), NOW)
    one.add_predictions(rows(NOW, 40), NOW)
    one.evaluate(NOW)
    (row,) = (row for row in one.page(NOW, True).drift if row.kind == "input")
    assert row.evidence["rows"] in (15, 30)
    assert one.page(NOW, True).windows["300_s"].arms["mlp"].predictions == 80


def test_rows_older_than_what_is_evaluated_have_no_features() -> None:
    one = against_reference()
    one.add_predictions(rows(ago(61), 40), NOW)
    one.evaluate(NOW)
    assert evidence(one, "input") == {"rows": 0}
    before = monitor()
    before.set_reference(REFERENCE)
    before.add_predictions(rows(ago(86_000), 40), NOW)
    before.add_predictions(rows(NOW, 20), NOW)
    before.evaluate(NOW)
    assert evidence(before, "input")["rows"] == 20


def test_without_a_reference_inputs_are_not_evaluated() -> None:
    one = monitor()
    one.add_predictions(rows(NOW, 20), NOW)
    one.evaluate(NOW)
    assert [row.kind for row in one.page(NOW, True).drift] == ["quality"]


def heavier() -> tuple[WorkloadMonitor, Sequence[DriftEvent]]:
    """People of the last minute are heavier than those before them."""
    one = monitor()
    one.set_reference(REFERENCE)
    one.add_predictions(rows(ago(600), 100), NOW)
    one.add_predictions(rows(NOW, 100, weight_kg=120.0), NOW)
    return one, one.evaluate(NOW)


def test_what_inputs_are_measured_from_stands_still_while_they_drift() -> None:
    one, (event,) = heavier()
    assert (event.workload, event.at, event.kind, event.subject) == ("calories", NOW, "input", "")
    assert event.state == "drifting"
    frozen = one.memory().input_reference
    assert frozen is not None
    assert frozen[0] == 100
    later = NOW + timedelta(seconds=300)
    one.add_predictions(rows(later, 100, weight_kg=120.0), later)
    assert one.evaluate(later) == []
    assert one.memory().input_reference == frozen
    one.add_predictions(rows(later + timedelta(seconds=60), 100), later + timedelta(seconds=60))
    (ended,) = one.evaluate(later + timedelta(seconds=65))
    assert (ended.kind, ended.state) == ("input", "ok")
    assert one.memory().input_reference is None


def test_a_frozen_reference_is_taken_up_once_and_only_if_it_is_of_these_features() -> None:
    frozen = heavier()[0].memory()
    again = monitor(memory=frozen)
    again.set_reference(REFERENCE)
    assert again.memory() == frozen
    again.set_reference(REFERENCE)
    assert again.memory().input_reference is None
    assert frozen.input_reference is not None
    for other in (frozen.input_reference[1:], [*frozen.input_reference, 0.0]):
        one = monitor(memory=MonitorMemory(input_reference=other))
        one.set_reference(REFERENCE)
        assert one.memory().input_reference is None


def test_the_reference_of_the_quality_stands_still_while_it_is_bad() -> None:
    one = monitor()
    one.add_predictions(rows(ago(600), 200), NOW)
    one.add_predictions(rows(NOW, 200), NOW)
    assert one.evaluate(NOW) == []
    one.add_rejections([MonitoredRejections(1, NOW, 150), MonitoredRejections(2, NOW, 50)])
    (event,) = one.evaluate(NOW)
    assert (event.kind, event.subject, event.state) == ("quality", "", "drifting")
    assert event.evidence["shares"] == {"refused": 0.5}
    memory = one.memory()
    assert memory.quality_reference == {"refused": 0.0}
    assert monitor(memory=memory).memory() == memory
    later = NOW + timedelta(seconds=100)
    one.add_predictions(rows(later, 200), later)
    (ended,) = one.evaluate(later)
    assert (ended.kind, ended.state) == ("quality", "ok")
    assert one.memory().quality_reference is None


def test_what_is_wrong_with_an_arm_lets_the_references_move() -> None:
    one = monitor()
    one.set_reference(REFERENCE)
    one.set_served({"mlp": SERVED, "blend": ServedBundle("sha256:2", None)})
    one.add_truths([truth(seq, error=99.0) for seq in range(1, 11)])
    (event,) = one.evaluate(NOW)
    assert (event.kind, event.subject, event.state) == ("calibration", "mlp", "drifting")
    memory = one.memory()
    assert (memory.quality_reference, memory.input_reference) == (None, None)
    kinds = [(row.kind, row.subject) for row in one.page(NOW, True).drift]
    arms = [(kind, arm) for kind in ("calibration", "concept") for arm in ("blend", "mlp")]
    assert kinds == [*arms, ("input", ""), ("quality", "")]
    assert [evidence(one, "concept", arm) for arm in ("blend", "mlp")] == [{"batches": 0}, {"batches": 5}]


def test_the_last_events_are_where_the_states_begin() -> None:
    last = {("quality", ""): DriftEvent(ago(9), "calories", "quality", "", "drifting", "bad", {})}
    one = monitor(last=last)
    one.add_predictions(rows(ago(600), 200), NOW)
    one.add_predictions(rows(NOW, 200), NOW)
    (event,) = one.evaluate(NOW)
    assert (event.kind, event.state) == ("quality", "ok")


def test_all_windows_of_detection_are_evaluated() -> None:
    """Twenty of the last minute hold, ten of the last ten seconds do not; and the other way round."""
    for short, long in ((99.0, 0.0), (0.0, 99.0)):
        one = monitor(calibration=CalibrationSettings(min_truths=10, z=0.1, tolerance=0.3))
        one.set_served({"mlp": SERVED})
        one.add_truths([truth(number, error=short) for number in range(10)])
        one.add_truths([truth(number, error=long, created_at=ago(40)) for number in range(20)])
        one.evaluate(NOW)
        assert evidence(one, "calibration", "mlp")["window_s"] == (10.0 if short else 60.0)
