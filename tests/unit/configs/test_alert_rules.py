"""Rules of Prometheus and routes of Alertmanager: complete, documented, tested, about metrics that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.metric_names import known_labels
from tests.support.promql import rules, selectors
from training.runtime.settings import REPOSITORY

CONFIGS = REPOSITORY / "configs"
TESTS = sorted((CONFIGS / "prometheus" / "tests").glob("*.yml"))
ALERTMANAGER = CONFIGS / "alertmanager" / "alertmanager.yml"
ALERTS = [rule for rule in rules() if "alert" in rule]
NAMES = sorted({alert["alert"] for alert in ALERTS})
RULES = list(rules())


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: scripts/install-test-packages")
    return found


def run(name: str, *words: str | Path) -> str:
    done = subprocess.run(
        [program(name), *map(str, words)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_what_and_how_bad_and_where_to_read_on(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning")
    texts = alert["annotations"]
    assert set(texts) == {"summary", "description", "runbook_url"}
    assert "workload" in alert["labels"] or "$labels.workload" in texts["summary"]
    assert "for" not in alert or alert["for"] != "0s"


def test_each_alert_has_an_entry_in_the_runbook_and_each_entry_an_alert() -> None:
    text = (REPOSITORY / "docs" / "how-to" / "operate.md").read_text()
    entries = re.findall(r"^## (\S+)$(.*?)(?=^#)", text + "\n# ", re.MULTILINE | re.DOTALL)
    described = {name: body for name, body in entries if "**Means**" in body}
    assert sorted(described) == NAMES
    for alert in ALERTS:
        assert alert["annotations"]["runbook_url"] == f"docs/how-to/operate.md#{alert['alert'].lower()}"
    for body in described.values():
        assert "**Look at**" in body
        assert "**Do**" in body


def test_each_alert_is_tested_to_fire_and_not_to_fire_in_health() -> None:
    fires: set[str] = set()
    quiet: set[str] = set()
    for file in TESTS:
        for scene in yaml.safe_load(file.read_text())["tests"]:
            for test in scene["alert_rule_test"]:
                if test.get("exp_alerts"):
                    fires.add(test["alertname"])
                elif scene["name"].startswith("health"):
                    quiet.add(test["alertname"])
    assert sorted(fires) == NAMES
    assert sorted(quiet) == NAMES


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules_ask_for_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    known = known_labels()
    wanted = selectors(rule["expr"])
    assert wanted
    for one in wanted:
        assert one.name in known, one
        assert one.labels <= known[one.name] | {"job", "instance"}, one


def test_prometheus_takes_its_configuration() -> None:
    file = CONFIGS / "prometheus" / "prometheus.yml"
    run("promtool", "check", "config", "--syntax-only", file)
    settings = yaml.safe_load(file.read_text())["global"]
    # an arm that fails is told within a minute: a scrape, a look, and what Alertmanager waits
    assert settings["scrape_interval"] == settings["evaluation_interval"] == "10s"


def test_prometheus_takes_the_rules() -> None:
    run("promtool", "check", "rules", *sorted((CONFIGS / "prometheus" / "rules").glob("*.yml")))


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_rules_fire_when_they_should(file: Path) -> None:
    run("promtool", "test", "rules", file)


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_tests_of_rules_have_one_outcome(file: Path) -> None:
    tests = yaml.safe_load(file.read_text())
    groups = [
        group["name"]
        for rules_file in tests["rule_files"]
        for group in yaml.safe_load((file.parent / rules_file).read_text())["groups"]
    ]
    assert tests["group_eval_order"] == groups, "promtool takes others in any order"


def test_alertmanager_takes_its_configuration() -> None:
    assert "1 templates" in run("amtool", "check-config", ALERTMANAGER)


@pytest.mark.parametrize(
    ("severity", "receiver"), [("critical", "mail and slack"), ("warning", "slack"), ("unheard-of", "mail")]
)
def test_alerts_go_where_their_severity_says(severity: str, receiver: str) -> None:
    words = ("config", "routes", "test", f"--config.file={ALERTMANAGER}")
    labels = (f"severity={severity}", "alertname=ArmFailing", "workload=apogee")
    assert run("amtool", *words, *labels).strip() == receiver


def test_alertmanager_holds_back_alerts_that_there_are_and_reads_secrets_from_files() -> None:
    text = ALERTMANAGER.read_text()
    config = yaml.safe_load(text)
    for rule in config["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            named = re.fullmatch(r"alertname !?=~? \"?([\w|]+)\"?", matcher)
            assert named is not None, matcher
            assert set(named[1].split("|")) <= set(NAMES), matcher
    assert not re.search(r"password:|api_url:|https://hooks", text)
    for key in ("smtp_auth_password_file", "slack_api_url_file"):
        # a relative path would be taken from wherever it was started
        assert config["global"][key].startswith("/")
