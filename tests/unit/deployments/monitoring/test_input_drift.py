"""Where each detector fires, on seeded streams."""

from __future__ import annotations

from fnmatch import fnmatchcase

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from deployments.monitoring import calibration
from deployments.monitoring.hysteresis import Hysteresis
from deployments.monitoring.input_drift import InputWindow, ReferenceBins
from deployments.monitoring.quality import QualityWindow
from deployments.monitoring.settings import (
    CalibrationSettings,
    HysteresisSettings,
    InputSettings,
    MonitoringSettings,
    QualitySettings,
)
from features.config import BUILT_IN, known_workloads, load_sections
from features.contract import Contract
from features.workload import load_workload

NAMES = ("height", "weight", "male")


def sample(seed: int, rows: int, shift: float = 0.0) -> NDArray[np.float64]:
    """A normal, a skew and a yes-or-no feature, the first moved by `shift` deviations."""
    rng = np.random.default_rng(seed)
    return np.stack(
        [rng.normal(170 + 10 * shift, 10, rows), rng.lognormal(4, 0.5, rows), rng.random(rows) < 0.4], axis=1
    )


def window(rows_per_entity: float | None = None, most_rows_per_s: float = 50) -> InputWindow:
    settings = InputSettings(rows_per_entity=rows_per_entity, most_rows_per_s=most_rows_per_s)
    return InputWindow(ReferenceBins(NAMES, sample(0, 1000)), settings, 300.0)


@given(st.lists(st.sampled_from([0.0, 0.69, 0.7, 0.99, 1.0, 3.0, None]), max_size=80))
def test_a_state_changes_once_however_long_it_lasts(scores: list[float | None]) -> None:
    hysteresis = Hysteresis(HysteresisSettings())
    changes = [change for score in scores if (change := hysteresis.update(score))]
    assert changes == ["drifting", "ok"] * (len(changes) // 2) + ["drifting"] * (len(changes) % 2)
    assert hysteresis.state == ("drifting" if len(changes) % 2 else "ok")


def test_a_state_needs_checks_in_a_row() -> None:
    hysteresis = Hysteresis(HysteresisSettings(confirm=3, settle=2))
    scores = [1.0, 1.0, 0.9, 1.0, None, 1.0, 1.0, 9.0, 0.6, 0.75, 0.6, 0.6]
    found = [hysteresis.update(score) for score in scores]
    assert found == [None] * 6 + ["drifting"] + [None] * 4 + ["ok"]
    assert Hysteresis(HysteresisSettings(), "drifting").state == "drifting"


def test_distances_of_histograms_are_those_of_rows() -> None:
    from scipy.stats import wasserstein_distance

    reference = sample(0, 1000)
    bins = ReferenceBins(NAMES, reference)
    for live in (sample(1, 700), sample(2, 700, shift=0.8), sample(3, 700) * [1, 1.5, 1] + [0, 0, 0]):
        expected = [
            wasserstein_distance(one, other) / one.std()
            for one, other in zip(reference.T, live.T, strict=True)
        ]
        assert bins.distances(bins.counts(live)) == pytest.approx(expected, abs=0.03)
    flipped = sample(4, 700)
    flipped[:, 2] = 1
    assert bins.distances(bins.counts(flipped))[2] == pytest.approx(
        (1 - reference[:, 2].mean()) / reference[:, 2].std()
    )


def test_distances_of_nothing_constant_or_unknown_features() -> None:
    reference = np.stack([np.full(50, 3.0), np.linspace(0, 1, 50), np.full(50, np.nan)], axis=1)
    bins = ReferenceBins(("constant", "even", "unknown"), reference)
    assert bins.distances(bins.counts(reference)).tolist() == [0, 0, 0]
    assert bins.distances(bins.counts(reference + np.array([0.01, 0, 0])))[0] > 5
    sequences = np.repeat(reference[:, None], 4, axis=1)
    whole = ReferenceBins(("constant", "even", "unknown"), sequences)
    assert whole.distances(whole.counts(sequences[:1, :2]))[1] > 1
    assert ReferenceBins(("a", "b"), np.ones((9, 2)), ignore=("a",)).names == ("b",)
    assert ReferenceBins(("a_1", "a_20", "b"), np.ones((9, 3)), ignore=("a_*",)).names == ("b",)


def test_noise_bounds_the_distance_of_so_many_rows() -> None:
    bins = ReferenceBins(NAMES, sample(0, 1000))
    for rows in (50, 400):
        found = [bins.distances(bins.counts(sample(seed, rows))) for seed in range(1, 60)]
        mean = np.mean(found, axis=0)
        assert (mean < bins.noise(rows)).all()
        assert (mean > 0.3 * bins.noise(rows)).all()


def test_input_is_evaluated_when_there_are_rows_enough_and_moves_are_named() -> None:
    live = window()
    live.add(100.0, {"a"}, sample(1, 199))
    assert live.evaluate(105.0, 300.0).score is None
    live.add(101.0, {"a"}, sample(2, 400))
    calm = live.evaluate(105.0, 300.0)
    assert calm.score == pytest.approx(0.25, abs=0.02)
    live.add(111.0, {"a"}, sample(3, 600, shift=1.0))
    assert live.evaluate(115.0, 300.0).score == pytest.approx(1.45, abs=0.05)
    found = live.evaluate(115.0, 10.0)
    assert found.score == pytest.approx(2.56, abs=0.1)
    assert found.reason.startswith("1 of 3 features have moved, most height: by ")
    assert (found.evidence["rows"], found.evidence["drifted_share"]) == (600, pytest.approx(1 / 3))
    assert live.evaluate(500.0, 300.0).score is None


def test_rows_of_few_entities_weigh_less() -> None:
    live = window(rows_per_entity=5)
    for number in range(20):
        live.add(10.0 * number, {f"flight{number}"}, sample(number, 30, shift=0.5))
    found = live.evaluate(195.0, 300.0)
    assert found.evidence["independent_rows"] == 100
    assert (found.score or 2) < 1
    alone = window()
    for number in range(20):
        alone.add(10.0 * number, set(), sample(number, 30, shift=0.5))
    assert (alone.evaluate(195.0, 300.0).score or 0) > 1
    assert live.evaluate(195.0, 100.0).evidence["independent_rows"] == 50


def test_no_more_rows_are_evaluated_than_are_allowed() -> None:
    live = window(most_rows_per_s=2)
    assert [live.admit(at_s) for at_s in [0.0] * 21 + [10.0]] == [True] * 20 + [False, True]


def test_live_data_can_be_measured_from_those_before_them() -> None:
    settings = InputSettings(against="before", min_rows=100)
    live = InputWindow(ReferenceBins(NAMES, sample(0, 1000)), settings, 60.0)
    assert live.span_s == 86_400
    for number in range(30):  # far from the reference, and steady
        live.add(10.0 * number, set(), sample(number, 100, shift=2.0))
        assert (live.evaluate(10.0 * number, 60.0).score or 0) < 1
    assert live.evaluate(295.0, 60.0).score is not None
    for number in range(30, 34):
        live.add(10.0 * number, set(), sample(number, 100, shift=3.0))
    assert (live.evaluate(335.0, 60.0).score or 0) > 1
    live.freeze_reference(335.0)
    for number in range(34, 300):
        live.add(10.0 * number, set(), sample(number, 100, shift=3.0))
    assert (live.evaluate(2995.0, 60.0).score or 0) > 1
    live.unfreeze_reference()
    assert (live.evaluate(2995.0, 60.0).score or 2) < 1


def measured(truths: float, inside: float, nominal: float = 0.9) -> NDArray[np.float64]:
    return np.array([truths, truths, inside, nominal * truths, 0.0, 7.0, 7.0])


@pytest.mark.parametrize(
    ("truths", "inside", "score"),
    [(199, 0, None), (200, 180, 0.0), (1000, 900 - 88, 1.0), (1000, 900 + 88, 1.0), (100_000, 85_000, 0.93)],
)
def test_coverage_counts_beyond_the_tolerance_and_the_noise(
    truths: int, inside: int, score: float | None
) -> None:
    found = calibration.evaluate(CalibrationSettings(), measured(truths, inside), 300.0)
    assert found.score == (None if score is None else pytest.approx(score, abs=0.01))


def test_coverage_says_what_it_found() -> None:
    found = calibration.evaluate(CalibrationSettings(), measured(500, 350), 300.0)
    assert found.reason == "regions hold 70.0% of 500 truths, nominal are 90.0%"
    assert found.evidence == {"window_s": 300.0, "truths": 500, "coverage": 0.7, "nominal": 0.9}


def test_a_field_that_is_sent_no_more_is_found(apogee: Contract) -> None:
    optional = [spec.name for spec in apogee.fields if not spec.required]
    names = {"pressure_pa": optional[0], "pitch_deg": optional[1]}
    live = QualityWindow(apogee, QualitySettings(), 300.0)
    rng = np.random.default_rng(0)
    for second in range(1500):
        share = 0.2 if second < 1200 else 0.6
        for is_filled in rng.random(4) < share:
            live.add(float(second), {names["pressure_pa"]: 50} if is_filled else {names["pitch_deg"]: 3})
        if second == 1199:
            assert (live.evaluate(1199.0, 60.0).score or 0) < 0.5
    found = live.evaluate(1499.0, 60.0)
    assert found.score == pytest.approx(1.7, abs=0.2)
    worst = f"filled.{names['pressure_pa']}"
    assert worst in found.reason or f"missing.{names['pitch_deg']}" in found.reason
    assert found.evidence["shares"][worst] == pytest.approx(0.6, abs=0.05)
    assert found.evidence["reference"][worst] == pytest.approx(0.2, abs=0.02)


def test_the_reference_stands_still_while_it_is_frozen(apogee: Contract) -> None:
    name = next(spec.name for spec in apogee.fields if not spec.required)
    live = QualityWindow(apogee, QualitySettings(), 300.0)
    for second in range(0, 20_000):
        live.add(float(second), {name: 50} if second > 1000 else {})
        if second == 1200:
            live.freeze_reference(1200.0)
    assert live.reference == dict.fromkeys(live.names, 0.0)
    assert (live.evaluate(19_999.0, 300.0).score or 0) > 1
    live.unfreeze_reference()
    assert (live.evaluate(19_999.0, 300.0).score or 0) < 1


def test_refused_requests_are_a_share_of_all(apogee: Contract) -> None:
    live = QualityWindow(apogee, QualitySettings(), 60.0)
    for second in range(400):
        live.add(float(second), {})
        if second >= 320:
            live.add_rejections(float(second), 5)
    found = live.evaluate(399.0, 60.0)
    assert found.reason == "refused: 83.3% of 360 requests, 22.7% before"
    live = QualityWindow(apogee, QualitySettings(), 60.0)
    for second in range(400):
        live.add_rejections(float(second), 5)
    assert live.evaluate(399.0, 60.0).score == pytest.approx(0.0)  # it was no better before


def test_too_few_rows_or_fields_are_insufficient_data(apogee: Contract) -> None:
    live = QualityWindow(apogee, QualitySettings(), 300.0)
    for second in range(250):
        live.add(float(second), {})
    assert live.evaluate(250.0, 300.0).score is None  # nothing before the window
    required = apogee.model_copy(update={"fields": tuple(f for f in apogee.fields if f.required)})
    assert QualityWindow(required, QualitySettings(), 300.0).evaluate(0.0, 300.0).score is None


@pytest.mark.parametrize("name", known_workloads(BUILT_IN))
def test_what_the_workloads_ignore_are_features(name: str) -> None:
    sections = load_sections(BUILT_IN, name)
    settings = MonitoringSettings.model_validate(sections.get("monitoring") or {})
    features = load_workload(Contract.model_validate(sections["contract"])).feature_names
    assert all(any(fnmatchcase(one, name) for one in features) for name in settings.input.ignore)
    assert ReferenceBins(features, np.ones((9, len(features))), settings.input.ignore).names


def test_settings_have_defaults_and_refuse_what_is_not_kept() -> None:
    assert MonitoringSettings().windows_s == (300.0, 3600.0, 86_400.0)
    with pytest.raises(ValidationError, match="windows_s: got 90000, expected seconds in"):
        MonitoringSettings(windows_s=(90_000.0,))
    with pytest.raises(ValidationError, match="detection_windows_s: got 3601"):
        MonitoringSettings(detection_windows_s=(3601.0,))
    with pytest.raises(ValidationError, match="expected each once"):
        MonitoringSettings(windows_s=(60.0, 60.0))
    with pytest.raises(ValidationError, match="extra"):
        MonitoringSettings.model_validate({"windows": [1]})


def test_the_old_key_of_the_detection_windows_still_works(caplog: pytest.LogCaptureFixture) -> None:
    settings = MonitoringSettings.model_validate({"looks_s": [20, 40]})
    assert settings.detection_windows_s == (20.0, 40.0)
    assert "monitoring: 'looks_s' is the old spelling; write 'detection_windows_s'" in caplog.text
    with pytest.raises(ValidationError, match="expected 'detection_windows_s' alone"):
        MonitoringSettings.model_validate({"looks_s": [20], "detection_windows_s": [20]})
