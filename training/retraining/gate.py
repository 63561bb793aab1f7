"""A gate that a challenger passes to take the place of a champion: both on the same newest truths. Pure.

Errors of telemetry come in runs, so rows are no independent draws. The gain is therefore tested on the means
of a few long blocks of consecutive truths, by a one-sided t-test with blocks - 1 degrees of freedom
(Ibragimov and Mueller 2010, "t-statistic based correlation and heterogeneity robust inference", theorem 1:
its level holds for any variances of the blocks, at alpha <= 0.083). A block is at least five autocorrelation
times long, estimated with the window of Sokal (1997, "Monte Carlo methods in statistical mechanics", section
3), and where even four would be much shorter nothing is decided. The coverage has a Clopper-Pearson bound
(1934) at the number of truths that a sample without runs would need for the same spread, their count over
Kish's design effect (1965). The ratio of latencies has the distribution-free bound of a median.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from training.runtime.retraining_config import FEWEST_BLOCKS, GateConfig

FloatArray = NDArray[np.float64]

_BLOCK_TIMES = 5
# What the numbers of a gain are called where the predecessor is the one that would be better.
_MIRRORED = {
    "champion_loss": "promoted_loss",
    "challenger_loss": "predecessor_loss",
    "gain": "loss_by_promotion",
    "gain_bound": "loss_by_promotion_bound",
}
# Below this many autocorrelation times the level of the test no longer holds.
_FEWEST_TIMES = 10


@dataclass(frozen=True)
class EvaluatedModel:
    """A model on the held-out truths, in the order of time.

    Attributes:
        loss: (n,) see `training.runtime.row_losses`.
        inside: (n,) share of the truths of a row that its region holds.
        latency_s: (m,) of single rows; the two models were timed in turns. None where they were not timed.
    """

    loss: FloatArray
    inside: FloatArray
    latency_s: FloatArray | None = None


@dataclass(frozen=True)
class Check:
    """A question, its answer as a sentence, and the numbers behind it."""

    name: str
    passed: bool
    reason: str
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """The answers of all checks. A challenger passes when none is against it."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Return whether the challenger may take the champion's place."""
        return all(check.passed for check in self.checks)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons against it; of one that passes, those for it."""
        against = tuple(check.reason for check in self.checks if not check.passed)
        return against or tuple(check.reason for check in self.checks)

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers of all checks."""
        return {name: value for check in self.checks for name, value in check.numbers.items()}


def evaluate_challenger(
    config: GateConfig, challenger: EvaluatedModel, champion: EvaluatedModel, nominal: float
) -> Verdict:
    """Return whether the challenger is better, on the same truths.

    Args:
        config: what is asked.
        challenger, champion: with rows of the same truths in the same order.
        nominal: share of truths that regions shall hold.

    Raises:
        ValueError: they were not evaluated on the same number of truths.
    """
    count = len(challenger.loss)
    if len(champion.loss) != count:
        raise ValueError(f"champion.loss: got {len(champion.loss)} rows, expected {count}")
    if count < config.min_truths:
        reason = f"There are {count} held-out truths, and {config.min_truths} are needed to decide."
        return Verdict((Check("truths", False, reason, {"truths": count}),))
    checks = [
        _gain(config, challenger.loss, champion.loss),
        _coverage(config, challenger.inside, champion.inside, nominal),
    ]
    if challenger.latency_s is not None and champion.latency_s is not None:
        checks.append(_latency(config, challenger.latency_s, champion.latency_s))
    return Verdict(tuple(checks))


def evaluate_promoted(
    config: GateConfig, promoted: EvaluatedModel, predecessor: EvaluatedModel, nominal: float
) -> Verdict:
    """Return whether a model that took another's place is not shown to be worse, on the same truths.

    The mirror of `evaluate_challenger`: here the doubt is in favour of the one that serves. Args as there.
    """
    other = _gain(config, predecessor.loss, promoted.loss)
    numbers = {_MIRRORED.get(name, name): value for name, value in other.numbers.items()}
    means = f"its mean loss is {promoted.loss.mean():.4g}, its predecessor's {predecessor.loss.mean():.4g}"
    reason = f"It is worse: {means}." if other.passed else f"It is not shown to be worse: {means}."
    return Verdict(
        (
            Check("gain", not other.passed, reason, numbers),
            _coverage(config, promoted.inside, predecessor.inside, nominal),
        )
    )


def unopposed(config: GateConfig, challenger: EvaluatedModel, nominal: float) -> Verdict:
    """Return the verdict where there is no champion: only the coverage is asked about."""
    first = Check("champion", True, "There is no champion to beat.", {"truths": len(challenger.loss)})
    return Verdict((first, _coverage(config, challenger.inside, None, nominal)))


def _gain(config: GateConfig, challenger: FloatArray, champion: FloatArray) -> Check:
    difference = champion - challenger
    times = len(difference) / _autocorrelation_time(difference)
    if times < _FEWEST_TIMES:
        effective = f"{len(difference)} truths tell as much as {times:.0f} alone"
        reason = f"The two differ in long runs: {effective}, and {_FEWEST_TIMES} are needed to decide."
        return Check("gain", False, reason, {"truths": float(len(difference)), "alone": times})
    blocks = min(max(int(times / _BLOCK_TIMES), FEWEST_BLOCKS), config.blocks)
    gain = _block_means(difference, blocks)
    before, mean, bound = float(champion.mean()), float(difference.mean()), _lower_bound(gain, config.alpha)
    needed = config.min_gain * before
    numbers = {
        "truths": float(len(challenger)),
        "champion_loss": before,
        "challenger_loss": float(challenger.mean()),
        "gain": mean,
        "gain_bound": bound,
        "blocks": float(blocks),
    }
    means = f"its mean loss is {numbers['challenger_loss']:.4g}, the champion's {before:.4g}"
    sure = f"at {1 - config.alpha:.0%} confidence the gain is above {bound:.3g}"
    if bound <= 0:
        reason = f"It is not shown to be better: {means}; {sure}, and would have to be above 0."
    elif mean < needed:
        reason = f"It is better by too little: {means}; a gain of {needed:.3g} is worth a change."
    else:
        return Check("gain", True, f"It is better: {means}; {sure}.", numbers)
    return Check("gain", False, reason, numbers)


def _coverage(config: GateConfig, inside: FloatArray, before: FloatArray | None, nominal: float) -> Check:
    """Check the coverage against the nominal one, or the champion's where that is lower."""
    share = float(inside.mean())
    wanted = nominal if before is None else min(nominal, float(before.mean()))
    effective = len(inside) / _design_effect(inside, config.blocks)
    bound = _upper_bound(share, effective, config.alpha)
    numbers = {"coverage": share, "coverage_bound": bound, "coverage_asked": wanted}
    passed = bound >= wanted - config.coverage_slack
    held = f"Its regions hold {share:.1%} of the truths"
    if passed:
        return Check("coverage", True, f"{held}, asked are {wanted:.1%}.", numbers)
    allowed = f"at most {bound:.1%} at {1 - config.alpha:.0%} confidence"
    return Check("coverage", False, f"{held}, {allowed}: too few where {wanted:.1%} are asked.", numbers)


def _latency(config: GateConfig, challenger_s: FloatArray, champion_s: FloatArray) -> Check:
    ratio = np.asarray(challenger_s / champion_s)
    median_s, bound = float(np.median(challenger_s)), _median_lower_bound(ratio, config.alpha)
    numbers = {
        "latency_s": median_s,
        "latency_ratio": float(np.median(ratio)),
        "latency_ratio_bound": bound,
    }
    measured = (
        f"It answers a row in {median_s * 1e3:.3g} ms, {numbers['latency_ratio']:.2g} times the champion's"
    )
    passed = median_s <= config.unfelt_latency_s or bound <= config.max_latency_ratio
    limit = "" if passed else f": too slow, at most {config.max_latency_ratio:g} times is allowed"
    return Check("latency", passed, f"{measured}{limit}.", numbers)


def _autocorrelation_time(values: FloatArray) -> float:
    """Return the rows, at least 1, that tell as much as one that is drawn alone."""
    count, deviation = len(values), values - values.mean()
    variance = float(np.square(deviation).mean())
    if variance <= 0:
        return 1.0
    spectrum = np.fft.rfft(deviation, 2 * count)
    correlation = np.fft.irfft(np.square(np.abs(spectrum)))[:count] / (count * variance)
    times = 2 * np.cumsum(correlation) - 1
    is_window = np.arange(count) >= _BLOCK_TIMES * times
    return max(float(times[int(is_window.argmax())]), 1.0) if is_window.any() else float(count)


def _block_means(values: FloatArray, blocks: int) -> FloatArray:
    return np.array([part.mean() for part in np.array_split(values, blocks)])


def _lower_bound(means: FloatArray, alpha: float) -> float:
    """Return a one-sided bound of the expected value, from independent means of any variances."""
    count = len(means)
    error = float(means.std(ddof=1)) / float(np.sqrt(count))
    return float(means.mean()) - float(stats.t.ppf(1 - alpha, count - 1)) * error


def _design_effect(inside: FloatArray, blocks: int) -> float:
    """Return how much more the block means spread than those of independent draws would, at least 1."""
    share = float(inside.mean())
    expected = share * (1 - share) * blocks / len(inside)
    return max(float(_block_means(inside, blocks).var(ddof=1)) / expected, 1.0) if expected > 0 else 1.0


def _upper_bound(share: float, count: float, alpha: float) -> float:
    """Return the one-sided Clopper-Pearson bound of a share of `count` draws, perhaps no whole number."""
    hits = share * count
    return 1.0 if hits >= count else float(stats.beta.ppf(1 - alpha, hits + 1, count - hits))


def _median_lower_bound(values: FloatArray, alpha: float) -> float:
    """Return the order statistic that lies above the median with probability `alpha` at most."""
    rank = int(stats.binom.ppf(alpha, len(values), 0.5)) - 1
    return float(np.sort(values)[max(rank, 0)])
