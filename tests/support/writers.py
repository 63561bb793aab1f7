"""What processes that share a store do at once. They import this, and little else."""

from __future__ import annotations

from deployments.domain.routing import ArmVersion
from deployments.store import Store, Truth
from tests.support.records import row


def write_everything(url: str, worker: int) -> tuple[int, int]:
    """Predictions, truths and versions, over ids that all share.

    Returns:
        The number of truths that were accepted, and of those that were there.
    """
    store = Store(url)
    store.create_tables()
    accepted = repeated = 0
    for start in range(0, 100, 10):
        numbers = range(start, start + 10)
        store.write_predictions([row(number) for number in numbers])
        counts = store.write_truths("apogee", [Truth(str(number), {"apogee_m": 1.0}) for number in numbers])
        accepted += counts.accepted
        repeated += counts.duplicate
        version = ArmVersion(model_version=str(start), bundle=f"sha256:{start}", source=f"models/{start}")
        store.put_arm("apogee", f"arm {worker}", version)
    store.close()
    return accepted, repeated
