"""Refused bundles: tried again when their files change, and else at intervals that grow."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployments.domain.routing import ArmVersion
from deployments.lifecycle.bundle_cache import stamp_of
from deployments.lifecycle.refusals import FIRST_RETRY_S, LONGEST_RETRY_S, Refusals
from tests.support.clocks import SecondsClock


@pytest.fixture
def clock() -> SecondsClock:
    return SecondsClock()


@pytest.fixture
def refusals(clock: SecondsClock) -> Refusals:
    return Refusals(clock, stamp_of)


def version_at(source: Path | str) -> ArmVersion:
    return ArmVersion(model_version="2", bundle="sha256:2", source=str(source))


def test_a_refusal_stands_until_its_interval_is_over(refusals: Refusals, clock: SecondsClock) -> None:
    version = version_at("/nowhere")
    assert not refusals.stands(version.bundle)
    assert refusals.add(version, "torn")
    assert refusals.standing() == {"sha256:2": "torn"}
    clock.now_s += FIRST_RETRY_S
    assert refusals.standing() == {}
    assert refusals.reasons() == {"sha256:2": "torn"}
    assert not refusals.add(version, "torn")
    clock.now_s += FIRST_RETRY_S
    assert refusals.stands(version.bundle)
    clock.now_s += LONGEST_RETRY_S
    assert not refusals.stands(version.bundle)


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_change_of_its_files_ends_a_refusal(refusals: Refusals, tmp_path: Path, scheme: str) -> None:
    model = tmp_path / "parts" / "model.onnx"
    model.parent.mkdir()
    model.write_bytes(b"half")
    version = version_at(f"{scheme}{tmp_path}")
    refusals.add(version, "torn")
    assert refusals.stands(version.bundle)
    model.write_bytes(b"half and half")
    assert not refusals.stands(version.bundle)
    refusals.add(version, "torn still")
    assert refusals.stands(version.bundle)
    (tmp_path / "card.json").write_text("{}")
    assert not refusals.stands(version.bundle)


def test_files_that_come_late_end_a_refusal(refusals: Refusals, tmp_path: Path) -> None:
    refusals.add(version_at(tmp_path / "late"), "nothing is there")
    assert refusals.stands("sha256:2")
    (tmp_path / "late").mkdir()
    (tmp_path / "late" / "manifest.json").write_text("{}")
    assert not refusals.stands("sha256:2")


def test_of_a_server_only_the_interval_counts(refusals: Refusals, clock: SecondsClock) -> None:
    refusals.add(version_at("mlflow-artifacts:/1/2/artifacts/bundle"), "torn")
    assert refusals.stands("sha256:2")
    clock.now_s += FIRST_RETRY_S
    assert not refusals.stands("sha256:2")


def test_what_was_loaded_is_no_longer_refused(refusals: Refusals) -> None:
    refusals.add(version_at("/nowhere"), "torn")
    refusals.remove("sha256:2")
    assert (refusals.stands("sha256:2"), refusals.reasons()) == (False, {})
    refusals.remove("sha256:3")
