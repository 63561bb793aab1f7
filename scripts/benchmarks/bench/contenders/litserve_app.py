"""LitServe: `python litserve_app.py PORT`, one worker, which is its default, and batches of 64 at most.

Batching is what LitServe offers for speed; how long a batch waits is left at its default, not at all.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import joblib
import litserve as ls
import numpy as np

NAMES = [f"x{number:02d}" for number in range(1, 17)]


class TableAPI(ls.LitAPI):  # type: ignore[misc]  # LitServe is not where types are checked
    """The four steps of a request."""

    def setup(self, device: str) -> None:
        """Load the model."""
        self.model = joblib.load(os.environ["MODEL"])

    def decode_request(self, request: dict[str, float]) -> np.ndarray:
        """Return the row, (16,)."""
        return np.array([request[name] for name in NAMES])

    def predict(self, x: np.ndarray) -> Any:
        """Predict a batch (n, 16) -> (n,)."""
        return self.model.predict(x)

    def encode_response(self, output: Any) -> dict[str, float]:
        """Return the answer."""
        return {"prediction": float(output)}


if __name__ == "__main__":
    server = ls.LitServer(TableAPI(max_batch_size=64), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
