"""Small seeded flights without RocketPy: a burn, then a coast with quadratic drag, and some noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.contract import Contract

GRAVITY_MPS2 = 9.80665
STEP_S = 0.005


def fly(seed: int, rate_hz: float = 20.0) -> tuple[NDArray[np.float64], float]:
    """Samples (n, 2) of time_s and altitude_m up to apogee, and the apogee in m."""
    rng = np.random.default_rng(seed)
    burn_s, thrust_mps2, drag_per_m = rng.uniform(1, 3), rng.uniform(40, 90), rng.uniform(1e-4, 6e-4)
    time_s, altitude_m, speed_mps = 0.0, 0.0, 0.0
    track = [(time_s, altitude_m)]
    while speed_mps >= 0:
        push = thrust_mps2 if time_s < burn_s else 0.0
        speed_mps += (push - GRAVITY_MPS2 - drag_per_m * speed_mps * abs(speed_mps)) * STEP_S
        altitude_m += speed_mps * STEP_S
        time_s += STEP_S
        track.append((time_s, altitude_m))
    fine = np.array(track)
    times = np.arange(0, fine[-1, 0], 1 / rate_hz)
    heights = np.interp(times, fine[:, 0], fine[:, 1]) + rng.normal(0, 0.3, times.size)
    return np.column_stack([times, heights]), float(fine[:, 1].max())


def instance_of(contract: Contract, samples: NDArray[np.float64], flight: str) -> dict[str, object]:
    """The request body that a client sends for these samples of time_s and altitude_m."""
    points = [{"time_s": float(t), "altitude_m": float(h)} for t, h in samples]
    return {contract.entity: flight, "samples": points}


def rows_of(contract: Contract, samples: NDArray[np.float64]) -> list[list[float]]:
    """The same samples as rows in contract order, NaN where nothing was measured."""
    rows = np.full((len(samples), len(contract.fields)), np.nan)
    rows[:, :2] = samples
    return rows.tolist()
