<<<<<<< b1793c09160fdd5561bbf22cc975ba1bce1a3175
"""The parts of a workload's application."""
=======
"""The contract and the arms of an application."""
>>>>>>> 91a2e358b8b5fb41c16dc479f9e656975b6b2738

from __future__ import annotations

from dataclasses import dataclass

from features.contract import Contract


@dataclass(frozen=True)
class Served:
<<<<<<< b1793c09160fdd5561bbf22cc975ba1bce1a3175
    """An application as it describes itself.
=======
    """The answer of an application about itself.
>>>>>>> 91a2e358b8b5fb41c16dc479f9e656975b6b2738

    Attributes:
        contract: of its workload.
        arms: names of its arm deployments.
    """

    contract: Contract
    arms: tuple[str, ...]
