"""What the runbook names is there: metrics, commands, calls."""

from __future__ import annotations

import re

from scripts.cli.main import COMMANDS
from tests.support.metric_names import known_labels
from tests.support.page import DOCS

RUNBOOK = (DOCS / "how-to" / "operate.md").read_text()
CALLS = set(re.findall(r"`(?:GET|POST|PUT) (/[^`?]+)", (DOCS / "reference" / "api.md").read_text()))


def test_metrics_of_the_runbook_are_there() -> None:
    named = set(re.findall(r"\b(?:\w+:)?(?:raysonde|haproxy|ray_serve)_[a-z_]+(?::\w+)?\b", RUNBOOK))
    assert len(named) >= 15
    assert named <= known_labels().keys()


def test_commands_of_the_runbook_are_there() -> None:
    named = set(re.findall(r"(?:^|[` \"])raysonde ([a-z]+)", RUNBOOK, re.MULTILINE))
    assert {"rollback", "retrain", "models", "logs"} <= named <= set(COMMANDS)


def test_what_the_runbook_asks_is_answered() -> None:
    calls = re.findall(r"^ask /weather(/\w+)", RUNBOOK, re.MULTILINE)
    assert len(calls) >= 5
    assert set(calls) <= CALLS
