"""Each part of the altimeter does what its name says, one at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.sources.simulation.flights import Flight
from training.sources.simulation.sensors import Logger, Smoothing, draw_logger, record

PERFECT = Logger(
    rate_hz=20.0,
    jitter=0.0,
    scale=1.0,
    port_share=0.0,
    transonic_m=0.0,
    lag_s=1e-4,
    smoothing=Smoothing.NONE,
    filter_s=0.1,
    noise_m=0.0,
    gust_m=0.0,
    gust_s=0.1,
    quantum_m=0.0,
    drift_mps=0.0,
    start_s=0.0,
    lost_share=0.0,
)


def throw(speed_mps: float = 300.0) -> Flight:
    """A throw in vacuum: everything about it is known."""
    end_s = speed_mps / 9.81
    time_s = np.append(np.arange(0, end_s, 0.01), end_s)
    now_mps = speed_mps - 9.81 * time_s
    return Flight(time_s, speed_mps * time_s - 4.905 * time_s**2, now_mps, now_mps / 340, 0.0)


def truth(time_s: np.ndarray, speed_mps: float = 300.0) -> np.ndarray:
    return np.asarray(speed_mps * time_s - 4.905 * time_s**2)


def generator() -> np.random.Generator:
    return np.random.default_rng(5)


def test_a_perfect_altimeter_logs_the_truth_up_to_apogee() -> None:
    log = record(throw(), PERFECT, generator())
    np.testing.assert_allclose(np.diff(log.time_s), 0.05)
    np.testing.assert_allclose(log.altitude_m, truth(log.time_s), atol=0.05)
    assert log.apogee_m == pytest.approx(300**2 / (2 * 9.81))
    assert log.time_s[-1] < 300 / 9.81


def test_warm_air_scales_altitude_and_apogee_alike() -> None:
    log = record(throw(), replace(PERFECT, scale=0.95), generator())
    np.testing.assert_allclose(log.altitude_m, 0.95 * truth(log.time_s), atol=0.05)
    assert log.apogee_m == pytest.approx(0.95 * 300**2 / (2 * 9.81))


def test_the_port_error_is_a_share_of_the_dynamic_pressure() -> None:
    log = record(throw(), replace(PERFECT, port_share=0.01), generator())
    error_m = log.altitude_m - truth(log.time_s)
    head_m = (300 - 9.81 * log.time_s) ** 2 / (2 * 9.81)
    np.testing.assert_allclose(error_m, 0.01 * head_m, atol=0.06)
    assert abs(error_m[-1]) < 0.1


def test_the_transonic_step_stands_at_mach_one() -> None:
    log = record(throw(450.0), replace(PERFECT, transonic_m=30.0), generator())
    error_m = log.altitude_m - truth(log.time_s, 450.0)
    mach = (450 - 9.81 * log.time_s) / 340
    assert mach[error_m.argmax()] == pytest.approx(0.97, abs=0.01)
    assert np.abs(error_m[mach < 0.7]).max() < 0.1


def test_lag_delays() -> None:
    log = record(throw(), replace(PERFECT, lag_s=0.1), generator())
    late_s = np.interp(log.altitude_m[100], truth(log.time_s), log.time_s) - log.time_s[100]
    assert late_s == pytest.approx(-0.1, abs=0.01)


@pytest.mark.parametrize("smoothing", [Smoothing.TRACKING, Smoothing.EXPONENTIAL, Smoothing.CENTRED])
def test_smoothing_takes_noise_away(smoothing: Smoothing) -> None:
    noisy = replace(PERFECT, noise_m=1.0, rate_hz=100.0, filter_s=0.3)
    raw = record(throw(), noisy, generator())
    smooth = record(throw(), replace(noisy, smoothing=smoothing), generator())
    roughness = [np.diff(log.altitude_m, 2)[200:].std() for log in (raw, smooth)]
    assert roughness[1] < 0.25 * roughness[0]
    lag_m = (truth(smooth.time_s) - smooth.altitude_m)[200:-50].mean()
    expected = {Smoothing.TRACKING: 0.0, Smoothing.EXPONENTIAL: 0.3 * 150, Smoothing.CENTRED: 0.0}
    assert lag_m == pytest.approx(expected[smoothing], abs=3.0)


def test_noise_quantum_drift_and_start() -> None:
    noise = record(throw(), replace(PERFECT, noise_m=0.8), generator())
    assert (noise.altitude_m - truth(noise.time_s)).std() == pytest.approx(0.8, rel=0.1)
    coarse = record(throw(), replace(PERFECT, quantum_m=0.5), generator())
    np.testing.assert_allclose(coarse.altitude_m % 0.5, 0, atol=1e-9)
    drift = record(throw(), replace(PERFECT, drift_mps=0.1), generator())
    assert drift.altitude_m[-1] - truth(drift.time_s)[-1] == pytest.approx(3.06, abs=0.05)
    assert drift.apogee_m - 300**2 / (2 * 9.81) == pytest.approx(3.06, abs=0.05)
    late = record(throw(), replace(PERFECT, start_s=0.4), generator())
    np.testing.assert_allclose(late.altitude_m, truth(late.time_s + 0.4), atol=0.05)


def test_lost_samples_are_missing_and_times_increase() -> None:
    log = record(throw(), replace(PERFECT, lost_share=0.2, jitter=0.15), generator())
    whole = record(throw(), replace(PERFECT, jitter=0.15), generator())
    assert 0.7 < len(log.time_s) / len(whole.time_s) < 0.9
    assert (np.diff(log.time_s) > 0).all()
    assert np.diff(log.time_s).max() > 0.12


def test_random_altimeters_cover_one_to_a_hundred_samples_a_second() -> None:
    seeded = generator()
    loggers = [draw_logger(seeded) for _ in range(400)]
    rates = np.array([logger.rate_hz for logger in loggers])
    assert rates.min() < 1.01
    assert rates.max() > 90
    assert {logger.smoothing for logger in loggers} == set(Smoothing)
    for logger in loggers[:100]:
        log = record(throw(), logger, seeded)
        assert np.isfinite(log.altitude_m).all()
        assert (np.diff(log.time_s) > 0).all()
