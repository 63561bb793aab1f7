"""The tables of `docs/reference/workload-file.md`, from the models that read a workload's YAML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from deployments.domain.breaker_settings import BreakerSettings
from deployments.domain.cache_settings import CacheSettings
from deployments.domain.ensembles import EnsembleSettings
from deployments.domain.routing import RoutingPolicy
from deployments.monitoring.settings import (
    CalibrationSettings,
    ConceptSettings,
    HysteresisSettings,
    InputSettings,
    MonitoringSettings,
    QualitySettings,
)
from features.contract import Contract, FieldSpec, Fill
from features.targets import ClassTarget, PathTarget, TargetSpec
from features.window_spec import GridWindow, PointWindow
from scripts.rendering.model_tables import field_table
from scripts.replay.recordings import RecordedConfig
from training.config import RowsConfig, Shares, TrainingConfig
from training.runtime.promotion_config import InterimLooksConfig, PromotionConfig
from training.runtime.retraining_config import GateConfig, RetrainingConfig


@dataclass(frozen=True)
class Section:
    """A part of the file: its path in the YAML, the form of it where there are several, its model."""

    path: str
    model: type[BaseModel]
    form: str = ""


SECTIONS: Sequence[Section] = (
    Section("contract", Contract),
    Section("contract.window", GridWindow, "a grid of seconds"),
    Section("contract.window", PointWindow, "the last points"),
    Section("contract.fields[]", FieldSpec),
    Section("contract.fields[].fill", Fill),
    Section("contract.target", TargetSpec, "a number"),
    Section("contract.target", ClassTarget, "a class"),
    Section("contract.target", PathTarget, "a path"),
    Section("training", TrainingConfig),
    Section("training.shares", Shares),
    Section("training.rows", RowsConfig),
    Section("routing", RoutingPolicy),
    Section("routing.breaker", BreakerSettings),
    Section("routing.ensembles.NAME", EnsembleSettings),
    Section("routing.cache", CacheSettings),
    Section("monitoring", MonitoringSettings),
    Section("monitoring.hysteresis", HysteresisSettings),
    Section("monitoring.input", InputSettings),
    Section("monitoring.quality", QualitySettings),
    Section("monitoring.concept", ConceptSettings),
    Section("monitoring.calibration", CalibrationSettings),
    Section("retraining", RetrainingConfig),
    Section("retraining.gate", GateConfig),
    Section("promotion", PromotionConfig),
    Section("promotion.shadow", InterimLooksConfig, "`promotion.probation` has the same keys"),
    Section("recorded", RecordedConfig),
)


def markdown() -> str:
    """Return a heading and a table for each section, in the order of the file."""
    return "\n\n".join(_part(section) for section in SECTIONS)


def _part(section: Section) -> str:
    level = "##" if "." not in section.path else "###"
    form = f": {section.form}" if section.form else ""
    return f"{level} `{section.path}`{form}\n\n{field_table(section.model)}"
