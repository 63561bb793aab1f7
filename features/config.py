"""The YAML file of a workload: sections `contract`, `training` and `routing`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from features.contract import Contract


def load_sections(directory: Path, workload: str) -> dict[str, Any]:
    """The parsed file `directory/workload.yaml`.

    Raises:
        FileNotFoundError: there is none; the message lists those there are.
    """
    path = directory / f"{workload}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in directory.glob("*.yaml"))
        raise FileNotFoundError(f"no workload {workload!r} in {directory}; there are {known}")
    sections = yaml.safe_load(path.read_text())
    if not isinstance(sections, dict) or "contract" not in sections:
        raise ValueError(f"{path}: expected the sections contract, training and routing")
    return sections


def load_contract(directory: Path, workload: str) -> Contract:
    """The contract of a workload, validated."""
    return Contract.model_validate(load_sections(directory, workload)["contract"])
