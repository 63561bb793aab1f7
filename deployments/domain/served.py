"""What a workload serves."""

from __future__ import annotations

from dataclasses import dataclass

from features.contract import Contract


@dataclass(frozen=True)
class Served:
    """What an application says of itself.

    Attributes:
        contract: of its workload.
        arms: names of its arm deployments.
    """

    contract: Contract
    arms: tuple[str, ...]
