"""Recorded hours: every window has a truth an hour later; seasonal rules are on the held-out quarter."""

from __future__ import annotations

from scripts.replay.reports.each import EachReport

REPORT = EachReport(
    about="`persistence` says that nothing changes. The fair comparison is that on the held-out last quarter "
    "of the year, where the seasonal baseline stands too: the months before are those that the models learnt "
    "from, and a recorded file may hold them."
)
