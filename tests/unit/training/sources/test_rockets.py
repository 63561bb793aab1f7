"""Simulated flights: reproducible, plausible, varied."""

from __future__ import annotations

import numpy as np
import pytest

from features.config import load_contract
from training.runtime.settings import REPOSITORY
from training.sources.base import LOG, WEIGHT, no_progress, serial_map
from training.sources.rockets import Names, fly, make_source, simulate_batch
from training.sources.simulation.designs import draw_design
from training.sources.simulation.flights import Flight, FlightError, simulate_flight

CONTRACT = load_contract(REPOSITORY / "configs" / "workloads", "apogee")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def flights() -> list[Flight]:
    return [fly(11, index, logs=1)[0] for index in range(6)]


def test_flights_are_plausible(flights: list[Flight]) -> None:
    for flight in flights:
        assert 120 < flight.apogee_m < 7000
        assert flight.apogee_m == pytest.approx(flight.altitude_m.max(), abs=0.5)
        assert (np.diff(flight.time_s) > 0).all()
        assert 45 < flight.speed_mps.max() < 600
        assert flight.speed_mps[-1] < 0.5 * flight.speed_mps.max()


def test_a_coast_obeys_gravity_and_drag(flights: list[Flight]) -> None:
    """Late in the coast a rocket slows down by gravity and little else; early by more."""
    for flight in flights:
        climb_mps = np.gradient(flight.altitude_m, flight.time_s)
        slowing = -np.gradient(climb_mps, flight.time_s)
        late = slice(int(0.95 * len(slowing)), len(slowing) - 3)
        early = slice(int((flight.burn_out_s + 0.2) * 100), int((flight.burn_out_s + 0.6) * 100))
        assert 9.4 < np.median(slowing[late]) < 11.5
        assert np.median(slowing[early]) > np.median(slowing[late])


def test_records_are_the_same_however_they_are_batched() -> None:
    names = Names("flight_id", "apogee_m")
    together = simulate_batch(names, 2, 11, range(2))
    alone = simulate_batch(names, 2, 11, range(1, 2))
    second = together[together["flight_id"] == "11-00001"].reset_index(drop=True)
    assert second.equals(alone)
    assert list(together.columns) == ["flight_id", LOG, "time_s", "altitude_m", "apogee_m", WEIGHT]
    assert together.groupby("flight_id")[LOG].nunique().to_list() == [2, 2]


def test_a_source_reports_its_progress() -> None:
    progress: list[tuple[int, int]] = []
    source = make_source(CONTRACT, flights=2, logs_per_flight=1, seed=11)
    records = source.records(serial_map, lambda done, total: progress.append((done, total)))
    assert records["flight_id"].nunique() == 2
    assert progress[-1] == (2, 2)
    other = make_source(CONTRACT, flights=1, logs_per_flight=1, seed=12).records(serial_map, no_progress)
    assert not np.isclose(other["apogee_m"].iloc[0], records["apogee_m"]).any()


def test_designs_cover_the_range_and_some_have_airbrakes() -> None:
    designs = [draw_design(np.random.default_rng([4, i])) for i in range(300)]
    assert 0.05 < np.mean([d.brakes is not None for d in designs]) < 0.2
    assert min(d.burn_s for d in designs) < 0.8 < 4.0 < max(d.burn_s for d in designs)
    for design in designs:
        mach, coefficient = design.drag.T
        assert coefficient[mach > 1.1].max() > 1.15 * coefficient[mach < 0.7].min()
        impulse = np.trapezoid(design.thrust[:, 1], design.thrust[:, 0])
        mass = design.dry_mass_kg + design.propellant_kg
        assert impulse / design.burn_s > 3.99 * 9.81 * mass
        assert design.inclination_deg <= 90


def test_a_flight_that_failed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An integrator that gives an apogee of minus the elevation must not get through."""
    states = np.zeros((50, 14))
    states[:, 0] = np.linspace(0, 5, 50)
    monkeypatch.setattr("training.sources.simulation.flights._integrate", lambda design: states)
    with pytest.raises(FlightError, match="apogee of"):
        simulate_flight(np.random.default_rng(0))
    with pytest.raises(FlightError, match="none of 20 designs flew"):
        fly(0, 0, logs=1)
