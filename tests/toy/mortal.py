"""The LSTM, whose process dies once after its third epoch if the folder TOY_MORTAL has a file named `die`.

If it has one named `hold`, it waits there as long. Every epoch leaves a file: STEP-WORKER-NUMBER.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from training.families.lstm import LstmFamily
from training.fitting.data import Params, Report, Split
from training.fitting.runs import ALONE, Run
from training.fitting.torch_members import FittedMembers

PARAMS: dict[str, Any] = {
    "width": 8,
    "learning_rate": 1e-2,
    "weight_decay": 1e-4,
    "dropout": 0.1,
    "huber_delta": 1.0,
    "batch_size": 63,
    "epochs": 6,
    "device": "cpu",
}


class MortalFamily(LstmFamily):
    name = "mortal"

    def search_space(self, trial: Any) -> None:
        for name, value in PARAMS.items():
            trial.suggest_categorical(name, [value])

    def fit(
        self, params: Params, train: Split, valid: Split, seed: int, report: Report, run: Run = ALONE
    ) -> FittedMembers:
        folder = Path(os.environ.get("TOY_MORTAL", os.devnull))

        def watched(step: int, loss: float) -> None:
            report(step, loss)
            if folder.is_dir():
                (folder / f"{step}-{run.peers.number}-{time.monotonic_ns()}").touch()
                if step == 3:
                    _end(folder)

        return super().fit(params, train, valid, seed, watched, run)


def _end(folder: Path) -> None:
    if (folder / "die").exists():
        (folder / "die").unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    while (folder / "hold").exists():
        time.sleep(0.05)


FAMILY = MortalFamily()
