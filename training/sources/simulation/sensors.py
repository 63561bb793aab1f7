"""A simulated altimeter: its pressure port, its sensor, its filter, its clock, its log.

The truth that goes with a log is the apogee in the altimeter's own metres, as flight computers and
competitions report it: an altimeter assumes the standard atmosphere, so on a warm day it reads low all
the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from training.sources.simulation.flights import Flight

FloatArray = NDArray[np.float64]

_GRAVITY_MPS2 = 9.81
_RATES_HZ = (1.0, 5.0, 10.0, 16.7, 20.0, 50.0, 100.0)
_RATE_SHARES = (0.05, 0.05, 0.12, 0.13, 0.35, 0.12, 0.18)


class Smoothing(Enum):
    """Kinds of filters in loggers: none, alpha-beta tracking, exponential, or centred after the flight."""

    NONE = "none"
    TRACKING = "tracking"
    EXPONENTIAL = "exponential"
    CENTRED = "centred"


_SMOOTHING_SHARES = {
    Smoothing.NONE: 0.5,
    Smoothing.TRACKING: 0.25,
    Smoothing.EXPONENTIAL: 0.1,
    Smoothing.CENTRED: 0.15,
}


@dataclass(frozen=True)
class Logger:
    """An altimeter in a rocket.

    Attributes:
        rate_hz: samples a second.
        jitter: standard deviation of a sampling interval, as a share of it.
        scale: metres read per metre climbed; the air is not the standard atmosphere.
        port_share: error of the static port as a share of the dynamic pressure.
        transonic_m: size of the pressure step while the shock passes the port.
        lag_s: first-order lag of the avionics bay behind its vent holes.
        smoothing: what the logger does with its samples before it logs them.
        filter_s: time constant of that.
        noise_m: white noise of the sensor, before the filter.
        gust_m: slow noise (turbulence, coning) at the port at 200 m/s; it goes with the speed.
        gust_s: correlation time of it.
        quantum_m: resolution of the log, 0 if it is fine.
        drift_mps: slow drift (the sensor warms up).
        start_s: lift-off as the logger has it, after the true one.
        lost_share: share of samples that never arrive, singly or a few in a row.
    """

    rate_hz: float
    jitter: float
    scale: float
    port_share: float
    transonic_m: float
    lag_s: float
    smoothing: Smoothing
    filter_s: float
    noise_m: float
    gust_m: float
    gust_s: float
    quantum_m: float
    drift_mps: float
    start_s: float
    lost_share: float


@dataclass(frozen=True)
class Log:
    """The log up to apogee: (n,) times since lift-off and altitudes, and the altimeter's apogee."""

    time_s: FloatArray
    altitude_m: FloatArray
    apogee_m: float


def draw_logger(generator: np.random.Generator) -> Logger:
    """Draw a random altimeter, from a clean filtered 100 Hz board to a coarse 1 Hz one."""
    kinds = list(_SMOOTHING_SHARES)
    return Logger(
        rate_hz=float(generator.choice(_RATES_HZ, p=_RATE_SHARES)) * generator.uniform(0.9, 1.0),
        jitter=float(generator.choice([0.0, 0.02, 0.15])),
        scale=generator.normal(1.0, 0.02),
        port_share=generator.normal(0, 0.01),
        transonic_m=generator.normal(0, 25),
        lag_s=_log_uniform(generator, 0.003, 0.2),
        smoothing=kinds[int(generator.choice(len(kinds), p=list(_SMOOTHING_SHARES.values())))],
        filter_s=_log_uniform(generator, 0.03, 0.3),
        noise_m=_log_uniform(generator, 0.05, 2.0),
        gust_m=abs(generator.normal(0, 1.5)),
        gust_s=_log_uniform(generator, 0.05, 1.0),
        quantum_m=float(generator.choice([0.0, 0.01, 0.1, 0.3048, 1.0], p=[0.4, 0.2, 0.15, 0.15, 0.1])),
        drift_mps=generator.normal(0, 0.03),
        start_s=float(np.clip(generator.normal(0.05, 0.2), -0.5, 0.8)),
        lost_share=float(generator.choice([0.0, generator.uniform(0, 0.3)], p=[0.8, 0.2])),
    )


def _log_uniform(generator: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(generator.uniform(np.log(low), np.log(high))))


def record(flight: Flight, logger: Logger, generator: np.random.Generator) -> Log:
    """Log a flight. The first sample is at lift-off, the last before apogee."""
    step_s = float(flight.time_s[1] - flight.time_s[0])
    seen_m = logger.scale * flight.altitude_m + _pressure_error(flight, logger, generator, step_s)
    seen_m = _lag(seen_m, logger.lag_s, step_s)
    apogee_m = float(logger.scale * flight.apogee_m)
    times_s = _sample_times(logger, float(flight.time_s[-1]), generator)
    altitude_m = np.interp(times_s, flight.time_s, seen_m)
    altitude_m += generator.normal(0, logger.noise_m, times_s.size) + logger.drift_mps * times_s
    altitude_m = _smooth(altitude_m, times_s, logger)
    if logger.quantum_m:
        altitude_m = np.round(altitude_m / logger.quantum_m) * logger.quantum_m
    apogee_m += logger.drift_mps * float(times_s[-1])
    kept = _arrived(times_s.size, logger.lost_share, generator)
    return Log(times_s[kept] - logger.start_s, altitude_m[kept], apogee_m)


def _pressure_error(
    flight: Flight, logger: Logger, generator: np.random.Generator, step_s: float
) -> FloatArray:
    """Metres that the port adds: position error, transonic step, turbulence; all grow with the speed."""
    head_m = flight.speed_mps**2 / (2 * _GRAVITY_MPS2)  # altitude that the dynamic pressure amounts to
    error_m = logger.scale * logger.port_share * head_m
    # the shock sits near the port between Mach 0.85 and 1.1 or so
    error_m = error_m + logger.transonic_m * np.exp(-0.5 * ((flight.mach - 0.97) / 0.06) ** 2)
    width = max(logger.gust_s / step_s, 1.0)
    turbulence = gaussian_filter1d(generator.normal(0, 1, flight.time_s.size), width, mode="wrap")
    turbulence /= max(float(turbulence.std()), 1e-9)
    # pressure noise goes with the speed times that of the gusts, which blow at apogee too
    relative = np.clip(flight.speed_mps / 200.0, 0.05, 1.5)
    return np.asarray(error_m + logger.gust_m * relative * turbulence)


def _lag(signal: FloatArray, constant_s: float, step_s: float) -> FloatArray:
    """First-order lag, exact for a signal that is constant over each step."""
    keep = float(np.exp(-step_s / constant_s))
    lagged, _ = lfilter([1 - keep], [1, -keep], signal, zi=[keep * signal[0]])
    return np.asarray(lagged)


def _smooth(signal: FloatArray, times_s: FloatArray, logger: Logger) -> FloatArray:
    step_s = float(np.median(np.diff(times_s)))
    if logger.smoothing is Smoothing.TRACKING:
        return _track(signal, step_s, logger.filter_s)
    if logger.smoothing is Smoothing.EXPONENTIAL:
        return _lag(signal, logger.filter_s, step_s)
    if logger.smoothing is Smoothing.CENTRED:
        return np.asarray(gaussian_filter1d(signal, logger.filter_s / step_s, mode="nearest"))
    return signal


def _track(signal: FloatArray, step_s: float, constant_s: float) -> FloatArray:
    """Track by a filter of second order (alpha-beta, critically damped); a constant climb passes without lag.

    Gains: Brookner (1998), "Tracking and Kalman Filtering Made Easy", section 1.2.9 (fading memory).
    """
    memory = float(np.exp(-step_s / constant_s))
    alpha, beta = 1 - memory**2, (1 - memory) ** 2
    # transfer function from measured to smoothed position
    forward = [alpha, beta - alpha]
    backward = [1.0, alpha + beta - 2.0, 1.0 - alpha]
    level = float(signal[0])
    return np.asarray(lfilter(forward, backward, signal - level)) + level


def _arrived(count: int, lost_share: float, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Return which samples arrive; half of the losses take the next two along."""
    lost = generator.random(count) < lost_share / 2
    longer = lost & (generator.random(count) < 0.5)
    lost[1:] |= longer[:-1]
    lost[2:] |= longer[:-2]
    return ~lost


def _sample_times(logger: Logger, end_s: float, generator: np.random.Generator) -> FloatArray:
    """Increasing times in (0, end_s) at the logger's rate, each interval with its own jitter."""
    count = int(end_s * logger.rate_hz * 1.3) + 4
    steps = np.clip(generator.normal(1, logger.jitter, count), 0.3, 2.5) if logger.jitter else np.ones(count)
    times_s = (generator.random() + np.cumsum(steps)) / logger.rate_hz
    return np.asarray(times_s[times_s < end_s])
