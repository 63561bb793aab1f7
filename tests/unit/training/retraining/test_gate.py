"""The gate: who passes, how often by mistake, and what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import stats
from scipy.signal import lfilter

from features.config import load_contract
from training.pipeline.evaluation import compute_metrics
from training.retraining.gate import EvaluatedModel, evaluate_challenger, evaluate_promoted, unopposed
from training.runtime.retraining_config import GateConfig
from training.runtime.row_losses import row_losses, rows_inside
from training.runtime.settings import REPOSITORY
from training.runtime.tasks.base import Predicted

CONFIG = GateConfig()
WORKLOADS = REPOSITORY / "configs" / "workloads"
Array = NDArray[np.float64]


def runs(generator: np.random.Generator, count: int, kept: float) -> Array:
    """An autoregressive process of order 1 with the standard deviation 1."""
    noise = (1 - kept**2) ** 0.5 * generator.normal(size=count + 200)
    return np.asarray(lfilter([1.0], [1.0, -kept], noise)[200:])


def model(loss: Array, covered: float = 0.9, latency_s: float = 1e-4) -> EvaluatedModel:
    misses = np.floor(np.arange(len(loss) + 1) * (1 - covered) + 1e-9)
    return EvaluatedModel(loss, (np.diff(misses) == 0).astype(np.float64), np.full(100, latency_s))


def pair(
    seed: int, gain: float, kept: float = 0.8, count: int = 500
) -> tuple[EvaluatedModel, EvaluatedModel]:
    """A challenger and a champion, whose losses rise and fall together; mean loss of the champion 3."""
    generator = np.random.default_rng(seed)
    common, own = runs(generator, count, kept), runs(generator, count, kept)
    champion = 3 + 0.5 * common
    return model(champion - gain + 0.5 * own), model(champion)


@given(
    arrays(np.float64, st.integers(1, 400), elements=st.floats(0, 1e6)),
    st.floats(0, 1),
)
def test_a_champion_never_beats_itself(loss: Array, nominal: float) -> None:
    itself = EvaluatedModel(loss, np.ones_like(loss), np.full(9, 1e-4))
    assert not evaluate_challenger(CONFIG, itself, itself, nominal).passed


@given(arrays(np.float64, 200, elements=st.floats(0, 100)), st.floats(0.01, 5))
def test_a_challenger_that_is_worse_on_every_truth_never_passes(loss: Array, worse: float) -> None:
    assert not evaluate_challenger(CONFIG, model(loss + worse), model(loss), 0.9).passed


@pytest.mark.parametrize("kept", [0.0, 0.8, 0.95])
def test_a_challenger_that_is_no_better_passes_as_seldom_as_promised(kept: float) -> None:
    """Two-sided: a test that passes too seldom has no power. Over 4,000 seeds: 5.0, 5.4 and 5.3 %."""
    any_gain = CONFIG.model_copy(update={"min_gain": 0.0})
    passed = sum(evaluate_challenger(any_gain, *pair(seed, 0.0, kept), 0.9).passed for seed in range(1000))
    # 0.05 of 1000, and two and a half standard deviations of such a count
    assert 50 - 17 <= passed <= 50 + 17


def test_the_bound_of_the_gain_is_that_of_a_t_test_of_the_means_of_blocks() -> None:
    generator = np.random.default_rng(3)
    champion = 3 + generator.normal(size=500)
    gain = 0.3 + generator.normal(size=500)
    numbers = evaluate_challenger(CONFIG, model(champion - gain), model(champion), 0.9).numbers
    means = [part.mean() for part in np.array_split(gain, 16)]
    expected = stats.ttest_1samp(means, 0, alternative="greater").confidence_interval(0.95).low
    assert numbers["blocks"] == 16
    assert numbers["gain_bound"] == pytest.approx(expected)


def test_long_runs_leave_few_blocks_and_never_fewer_than_four() -> None:
    numbers = [evaluate_challenger(CONFIG, *pair(seed, 0.0, 0.95), 0.9).numbers for seed in range(60)]
    blocks = {one["blocks"] for one in numbers if "blocks" in one}
    assert min(blocks) == 4
    assert max(blocks) < 16


@pytest.mark.parametrize(("gain", "expected"), [(0.05, 16), (0.1, 37), (0.2, 79), (0.4, 100)])
def test_power_over_a_hundred_seeds(gain: float, expected: int) -> None:
    """Gains of 2, 3, 7 and 13 percent, where single differences have the standard deviation 0.5 and runs."""
    assert sum(evaluate_challenger(CONFIG, *pair(seed, gain), 0.9).passed for seed in range(100)) == expected


def test_a_test_of_single_rows_would_be_fooled_by_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why blocks have a length: with one row each the same challengers pass five times as often."""
    monkeypatch.setattr("training.retraining.gate._autocorrelation_time", lambda values: 1.0)
    monkeypatch.setattr("training.retraining.gate._BLOCK_TIMES", 1)
    rows = CONFIG.model_copy(update={"min_gain": 0.0, "blocks": 500})
    assert sum(evaluate_challenger(rows, *pair(seed, 0.0, 0.8), 0.9).passed for seed in range(200)) > 40


def test_a_gain_in_one_long_run_decides_nothing() -> None:
    generator = np.random.default_rng(0)
    champion = 3 + generator.normal(size=500)
    wave = np.where(np.arange(500) < 250, 1.0, -0.2)
    verdict = evaluate_challenger(CONFIG, model(champion - wave), model(champion), 0.9)
    assert not verdict.passed
    assert verdict.reasons == (
        "The two differ in long runs: 500 truths tell as much as 8 alone, and 10 are needed to decide.",
    )


def test_a_small_gain_is_not_worth_a_change() -> None:
    loss = 3 + 0.1 * np.random.default_rng(0).normal(size=500)
    verdict = evaluate_challenger(CONFIG, model(loss - 0.01), model(loss), 0.9)
    assert verdict.reasons == (
        "It is better by too little: its mean loss is 2.987, the champion's 2.997; "
        "a gain of 0.03 is worth a change.",
    )


def test_what_a_verdict_says_and_shows() -> None:
    verdict = evaluate_challenger(CONFIG, *pair(1, 0.5), 0.9)
    assert verdict.passed
    assert verdict.reasons[0].startswith("It is better: its mean loss is 2.4")
    assert verdict.reasons[1:] == (
        "Its regions hold 90.0% of the truths, asked are 90.0%.",
        "It answers a row in 0.1 ms, 1 times the champion's.",
    )
    assert set(verdict.numbers) >= {"truths", "gain", "gain_bound", "coverage", "latency_ratio"}
    assert verdict.numbers["truths"] == 500


def test_few_truths_decide_nothing() -> None:
    verdict = evaluate_challenger(CONFIG, *pair(1, 1.0, count=63), 0.9)
    assert not verdict.passed
    assert verdict.reasons == ("There are 63 held-out truths, and 64 are needed to decide.",)


def test_coverage_is_asked_for_with_what_chance_allows() -> None:
    challenger, champion = pair(1, 1.0)

    def passes(covered: float, before: float = 0.9) -> bool:
        worse = replace(challenger, inside=model(challenger.loss, covered).inside)
        champion_now = replace(champion, inside=model(champion.loss, before).inside)
        return evaluate_challenger(CONFIG, worse, champion_now, 0.9).passed

    assert [passes(share) for share in (0.95, 0.9, 0.86, 0.84, 0.7)] == [True, True, True, False, False]
    # no better is asked than the champion is
    assert passes(0.7, before=0.7)
    assert not passes(0.6, before=0.7)


def test_misses_in_runs_are_weaker_evidence_than_as_many_alone() -> None:
    challenger, champion = pair(1, 1.0)
    spread = np.ones(500)
    spread[::6] = 0
    in_a_run = np.ones(500)
    in_a_run[: int((spread == 0).sum())] = 0
    assert not evaluate_challenger(CONFIG, replace(challenger, inside=spread), champion, 0.9).passed
    assert evaluate_challenger(CONFIG, replace(challenger, inside=in_a_run), champion, 0.9).passed


@pytest.mark.parametrize(
    ("latency_s", "passes"), [(0.002, True), (0.0039, True), (0.0041, False), (0.1, False)]
)
def test_a_slow_challenger_does_not_pass(latency_s: float, passes: bool) -> None:
    challenger, champion = pair(1, 1.0)
    noise = np.random.default_rng(0).lognormal(0, 0.05, 100)
    slow = replace(challenger, latency_s=latency_s * noise)
    verdict = evaluate_challenger(CONFIG, slow, replace(champion, latency_s=np.full(100, 0.002)), 0.9)
    assert verdict.passed == passes


def test_slow_beside_very_fast_is_not_felt() -> None:
    challenger, champion = pair(1, 1.0)
    slow = replace(challenger, latency_s=np.full(100, 0.0009))
    assert evaluate_challenger(CONFIG, slow, replace(champion, latency_s=np.full(100, 1e-5)), 0.9).passed


@pytest.mark.parametrize(("rows", "nth"), [(1, 0), (3, 0), (5, 0), (7, 0), (8, 1), (12, 2), (13, 3)])
def test_the_bound_of_a_median_is_the_value_that_is_below_it_as_surely_as_asked(rows: int, nth: int) -> None:
    """Of eight values the second is above the median when one at most is below it: in 3.5 of 100 samples."""
    challenger, champion = pair(1, 1.0)
    ratios = np.random.default_rng(0).permutation(np.arange(1.0, rows + 1))
    numbers = evaluate_challenger(
        CONFIG,
        replace(challenger, latency_s=0.5 * ratios),
        replace(champion, latency_s=np.full(rows, 0.5)),
        0.9,
    ).numbers
    assert numbers["latency_ratio_bound"] == nth + 1
    assert numbers["latency_ratio"] == (rows + 1) / 2
    assert numbers["latency_s"] == (rows + 1) / 4


@pytest.mark.parametrize(
    ("latency_s", "before_s", "passes"),
    [(0.5, 0.25, True), (0.501, 0.25, False), (0.001, 1e-5, True), (0.00101, 1e-5, False)],
)
def test_where_the_limits_of_the_latency_lie(latency_s: float, before_s: float, passes: bool) -> None:
    challenger, champion = (
        replace(one, latency_s=np.full(20, seconds))
        for one, seconds in zip(pair(1, 1.0), (latency_s, before_s), strict=True)
    )
    verdict = evaluate_challenger(CONFIG, challenger, champion, 0.9)
    assert verdict.passed == passes
    if not passes:
        assert verdict.reasons[0].endswith(" times the champion's: too slow, at most 2 times is allowed.")


def test_latencies_that_were_not_measured_are_not_compared() -> None:
    challenger, champion = pair(1, 1.0)
    for models in (
        (replace(challenger, latency_s=None), champion),
        (challenger, replace(champion, latency_s=None)),
    ):
        assert [one.name for one in evaluate_challenger(CONFIG, *models, 0.9).checks] == ["gain", "coverage"]


@pytest.mark.parametrize(
    ("loss", "min_gain", "passes"),
    [(1.5, 0.25, True), (1.5, 0.2501, False), (2.0, 0.0, False), (1.999, 0.0, True), (2.001, 0.0, False)],
)
def test_where_the_limits_of_the_gain_lie(loss: float, min_gain: float, passes: bool) -> None:
    """Losses that do not vary are sure."""
    config = CONFIG.model_copy(update={"min_gain": min_gain})
    verdict = evaluate_challenger(config, model(np.full(64, loss)), model(np.full(64, 2.0)), 0.9)
    assert verdict.passed == passes
    assert verdict.numbers["gain"] == verdict.numbers["gain_bound"] == pytest.approx(2 - loss)


def test_the_bound_of_the_coverage_is_the_share_that_holds_as_few_as_seldom_as_asked() -> None:
    challenger, champion = pair(1, 1.0)
    spread = np.ones(500)
    spread[::6] = 0
    found = evaluate_challenger(CONFIG, replace(challenger, inside=spread), champion, 0.9).numbers
    assert stats.binom.cdf(spread.sum(), 500, found["coverage_bound"]) == pytest.approx(0.05)
    assert found["coverage"] == spread.mean()
    assert found["coverage_asked"] == pytest.approx(0.9)
    all_hold = evaluate_challenger(CONFIG, replace(challenger, inside=np.ones(500)), champion, 0.9).numbers
    assert all_hold["coverage_bound"] == 1.0
    none_holds = evaluate_challenger(CONFIG, replace(challenger, inside=np.zeros(500)), champion, 0.9).numbers
    assert none_holds["coverage_bound"] == pytest.approx(1 - 0.05 ** (1 / 500))


@pytest.mark.parametrize(("slack", "nominal"), [(0.0, 1.0), (0.25, 1.0), (0.0, 0.9)])
def test_a_coverage_may_be_as_low_as_the_slack_allows(slack: float, nominal: float) -> None:
    config = CONFIG.model_copy(update={"coverage_slack": slack})
    assert unopposed(config, model(np.ones(500), covered=1.0), nominal).passed


def test_by_what_runs_of_misses_make_truths_fewer() -> None:
    """Two of sixteen blocks miss all: their spread is 33.5 times that of single misses, so 480 are 14.3."""
    inside = np.repeat([0.0, 1.0], [60, 420])
    numbers = unopposed(CONFIG, EvaluatedModel(np.ones(480), inside), 0.9).numbers
    effective = 480 / (16 * 2 * 14 / (16 * 15) / (0.125 * 0.875 * 16 / 480) / 16)
    expected = stats.beta.ppf(0.95, 0.875 * effective + 1, 0.125 * effective)
    assert numbers["coverage_bound"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("kept", "blocks"), [(0.0, [16] * 5), (0.8, [5, 16, 16, 16, 16]), (0.95, [4, 4, 4, 9, 7])]
)
def test_how_many_blocks_there_are_by_how_long_runs_last(kept: float, blocks: list[int]) -> None:
    verdicts = [evaluate_challenger(CONFIG, *pair(seed, 0.5, kept), 0.9) for seed in range(5)]
    assert [one.numbers["blocks"] for one in verdicts] == blocks


@pytest.mark.parametrize(("count", "blocks"), [(64, 12), (80, 16), (79, 15)])
def test_rows_that_swing_tell_no_more_than_as_many_alone(count: int, blocks: int) -> None:
    """Five rows a block, as of rows that are drawn alone."""
    loss = np.full(count, 3.0)
    swing = 0.5 + 0.1 * (-1.0) ** np.arange(count)
    assert evaluate_challenger(CONFIG, model(loss - swing), model(loss), 0.9).numbers["blocks"] == blocks


def test_without_a_champion_the_coverage_alone_is_asked() -> None:
    assert unopposed(CONFIG, model(np.ones(500)), 0.9).passed
    assert not unopposed(CONFIG, model(np.ones(500), covered=0.8), 0.9).passed


def test_both_are_evaluated_on_the_same_truths() -> None:
    with pytest.raises(ValueError, match="got 99 rows, expected 100"):
        evaluate_challenger(CONFIG, model(np.ones(100)), model(np.ones(99)), 0.9)


@pytest.mark.parametrize(("name", "metric"), [("apogee", "mae"), ("weather", "rmse"), ("calories", "rmsle")])
def test_row_losses_are_those_of_the_metric(name: str, metric: str) -> None:
    target = load_contract(WORKLOADS, name).target
    generator = np.random.default_rng(0)
    truth = generator.uniform(1, 50, 300)
    value = truth * generator.lognormal(0, 0.1, 300)
    predicted = Predicted({"prediction": value, "lower": value - 2, "upper": value + 2})
    mean = row_losses(target, truth, predicted).mean()
    found = compute_metrics(target, truth, predicted)
    assert (mean if metric == "mae" else mean**0.5) == pytest.approx(found[metric])
    assert rows_inside(target, truth, predicted).mean() == pytest.approx(found["coverage"])


def test_row_losses_of_classes_and_paths() -> None:
    phases = load_contract(WORKLOADS, "reentry").target
    probability = np.array([[0.8, 0.2], [0.8, 0.2]])
    classes = Predicted({"probability": probability, "member": np.array([[1.0, 0], [1.0, 0]])})
    truth = np.array([0.0, 1.0])
    assert row_losses(phases, truth, classes) == pytest.approx([0.08, 1.28])
    assert rows_inside(phases, truth, classes).tolist() == [1, 0]
    places = load_contract(WORKLOADS, "trajectory").target
    count = len(places.horizons_s)  # type: ignore[union-attr]
    path = np.full((1, count, 3), np.nan)
    path[0, 0] = [47.0, 8.0, 0]
    positions = np.tile([47.001, 8.0, 0], (1, count, 1))
    predicted = Predicted({"position": positions, "radius_m": np.full((1, count), 200.0)})
    assert row_losses(places, path, predicted) == pytest.approx([111.2], abs=0.1)
    assert rows_inside(places, path, predicted).tolist() == [1]


@pytest.mark.parametrize(
    ("promoted", "predecessor", "passes"),
    [(0.9, 0.9, True), (0.6, 0.9, False), (0.6, 0.6, True), (0.84, 0.9, False), (0.86, 0.9, True)],
)
def test_a_promoted_version_must_hold_as_much_as_it_promises(
    promoted: float, predecessor: float, passes: bool
) -> None:
    loss = 3 + 0.1 * np.random.default_rng(0).normal(size=500)
    verdict = evaluate_promoted(CONFIG, model(loss, promoted), model(loss, predecessor), 0.9)
    assert verdict.passed == passes
    assert verdict.numbers["coverage_asked"] == pytest.approx(min(predecessor, 0.9))


def test_a_promoted_version_stays_unless_it_is_shown_to_be_worse() -> None:
    better, worse = pair(1, 0.5)
    stays, goes = evaluate_promoted(CONFIG, better, worse, 0.9), evaluate_promoted(CONFIG, worse, better, 0.9)
    assert (stays.passed, goes.passed) == (True, False)
    assert stays.reasons[0].startswith("It is not shown to be worse: its mean loss is 2.4")
    assert goes.reasons[0].startswith("It is worse: its mean loss is 2.942, its predecessor's 2.43.")
    assert stays.numbers["loss_by_promotion"] == -goes.numbers["loss_by_promotion"]
    assert goes.numbers["promoted_loss"] == float(worse.loss.mean())
    assert goes.numbers["predecessor_loss"] == float(better.loss.mean())
    even, other = pair(1, 0.0)
    assert evaluate_promoted(CONFIG, even, other, 0.9).passed
    assert evaluate_promoted(CONFIG, other, even, 0.9).passed
