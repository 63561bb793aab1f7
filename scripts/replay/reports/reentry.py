"""Recorded tracks: first stages that come back, second stages that do not, and aircraft."""

from __future__ import annotations

from scripts.replay.reports.classes import ClassReport

REPORT = ClassReport(
    about="The models learnt from simulated tracks alone. Launches are the published telemetry of Falcon 9 "
    "flights, both stages; their positions are synthesised from speed and altitude. No radiometer watched "
    "launches or aircraft. Every aircraft is nominal: each of its positives is a false alarm. A stage "
    "that stands on the ground after its landing still counts as a re-entry, which ten points cannot show.",
    field="altitude",
)
