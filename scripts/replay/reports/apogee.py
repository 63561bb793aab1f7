"""Recorded flights: the apogee is known when a flight is over."""

from __future__ import annotations

from scripts.replay.reports.event import EventReport

REPORT = EventReport(
    about="Models trained on simulations only, asked about recordings that they have never seen."
)
