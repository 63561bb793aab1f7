"""The plan of the demonstration: traffic, the heat wave in it, and the rule by which it is healed."""

from __future__ import annotations

from dataclasses import dataclass

from features.contract import Contract
from scripts.replay.recordings import Case, make_cases, split_recordings
from training.sources.base import no_progress, serial_map
from training.sources.heatwave import HeatWave, HeatWaveSource

_HOUR_S = 3600.0
# of a window, so many hours go by before a station's first request
_HOURS_BEFORE = 4


@dataclass(frozen=True)
class HealRule:
    """The rule by which the error is high, and back.

    Attributes:
        truths: number of the newest answers whose root mean square error counts.
        factor: of the calm level, above which the error is high.
    """

    truths: int = 200
    factor: float = 1.3


@dataclass(frozen=True)
class HealPlan:
    """A run of the demonstration, in seconds since its first request.

    Attributes:
        rate_per_s: requests a second.
        calm_s: before the heat wave begins.
        stations: that send them, each an hour of weather a time. Stations have the same hours, so fewer of
            them show more days to a model that has to prove itself on few truths.
        truth_delay_s: from a request to its truth, which is an hour of weather.
        detection_windows_s: windows that the detectors of drift evaluate.
        warmup_batches: batches of truths for the normal loss of an arm.
        linger_s: how long it goes on at most when the error is back, until no detector sees drift.
        rule: see `HealRule`.
    """

    rate_per_s: float = 20.0
    calm_s: float = 75.0
    stations: int = 3
    truth_delay_s: float = 1.5
    detection_windows_s: tuple[float, ...] = (20.0, 40.0)
    warmup_batches: int = 24
    linger_s: float = 80.0
    rule: HealRule = HealRule()

    @property
    def hours_per_s(self) -> float:
        """The hours of weather in a second of the demonstration."""
        return self.rate_per_s / self.stations

    def wave(self, seed: int, duration_s: float) -> HeatWave:
        """Return the weather for so long."""
        calm_hours = _HOURS_BEFORE + round(self.calm_s * self.hours_per_s)
        hours = _HOURS_BEFORE + 2 + round(duration_s * self.hours_per_s)
        return HeatWave(calm_hours=calm_hours, hours=hours, stations=self.stations, seed=seed)


USUAL = HealPlan()
SHORT = HealPlan(
    rate_per_s=40.0, calm_s=25.0, detection_windows_s=(10.0, 20.0), warmup_batches=12, linger_s=0.0
)


def cases_of_wave(contract: Contract, wave: HeatWave) -> list[Case]:
    """Return the requests of the stations, in the order of time, with their truths."""
    records = HeatWaveSource(contract, wave).records(serial_map, no_progress)
    cases = [
        case for recording in split_recordings(contract, records) for case in make_cases(contract, recording)
    ]
    return sorted((case for case in cases if case.known), key=lambda case: case.end_s)


def calm_cases(wave: HeatWave, cases: list[Case]) -> int:
    """Count the cases from before the wave."""
    begin_s = wave.start.timestamp() + _HOUR_S * wave.calm_hours
    return sum(case.end_s < begin_s for case in cases)
