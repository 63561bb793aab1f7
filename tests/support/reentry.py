"""The contract of reentry."""

from __future__ import annotations

from features.config import load_contract
from features.contract import Contract
from training.settings import REPOSITORY


def reentry_contract() -> Contract:
    """As it comes with the project."""
    return load_contract(REPOSITORY / "configs" / "workloads", "reentry")
