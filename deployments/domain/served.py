"""The parts of a workload's application."""

from __future__ import annotations

from dataclasses import dataclass

from features.contract import Contract


@dataclass(frozen=True)
class Served:
    """An application as it describes itself.

    Attributes:
        contract: of its workload.
        arms: names of its arm deployments.
    """

    contract: Contract
    arms: tuple[str, ...]
