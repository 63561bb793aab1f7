"""The contract and the arms of an application."""

from __future__ import annotations

from dataclasses import dataclass

from features.contract import Contract


@dataclass(frozen=True)
class Served:
    """The answer of an application about itself.

    Attributes:
        contract: of its workload.
        arms: names of its arm deployments.
    """

    contract: Contract
    arms: tuple[str, ...]
