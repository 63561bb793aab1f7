"""A bundle: an immutable model version as a directory of plain files, none of them a pickle.

`training.runtime.manifest` checks every file before anything here is parsed; `training.runtime.bounds` says
how much there may be. Reading imports no module that a bundle names, and runs nothing.

To change the format: raise `FORMAT_VERSION`; keep the old reader beside the new one, chosen by the version
in the manifest; keep a bundle of the old version under tests, with a test that it is still read. Writers
write the newest version only. A reader refuses versions that it does not know, see `training.runtime.errors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from features.contract import Contract
from features.scaling import StandardScaler
from training.runtime.array_archive import pack_arrays, unpack_arrays
from training.runtime.bounds import check_json
from training.runtime.errors import BundleError, ForeignBundle, MalformedBundle
from training.runtime.graph_bounds import check_graph
from training.runtime.manifest import read_files, read_manifest, write_files
from training.runtime.tasks.base import Calibration, Predicted
from training.runtime.tasks.factory import calibration_type

FORMAT_VERSION = 1

FloatArray = NDArray[np.float64]


class Card(BaseModel):
    """The origin of a model and its metrics on held-out data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workload: str
    family: str
    created_at: datetime
    git_commit: str
    data_hash: str = Field(description="sha256 of the records that it was trained on")
    seed: int
    trial: str = Field(description="name of the Tune trial that won")
    params: dict[str, Any] = Field(description="parameters of that trial")
    metrics: dict[str, float] = Field(description="on the test split, in target units")
    baselines: dict[str, dict[str, float]] = Field(
        default_factory=dict, description="the same metrics of the workload's baselines, by name"
    )
    feature_names: tuple[str, ...]


@dataclass(frozen=True)
class Reference:
    """A sample of the training data that drift is measured against.

    Attributes:
        features: (n, features) or (n, steps, features) float64, unscaled.
        raw: (n, *raw_shape) float64.
    """

    features: FloatArray
    raw: FloatArray


@dataclass(frozen=True)
class Golden:
    """Inputs with the outputs that the bundle must give for them, wherever it is loaded.

    Attributes:
        raw: (n, *raw_shape) float64.
        features: (n, features) or (n, steps, features) float64, unscaled.
        outputs: what the task predicts, in its arrays.
    """

    raw: FloatArray
    features: FloatArray
    outputs: Predicted


@dataclass(frozen=True)
class BundleParts:
    """The contents of a bundle.

    `onnx` takes `x` float32 (batch, features) or (batch, steps, features) and gives `y` (batch, outputs).
    """

    onnx: bytes
    scaler: StandardScaler
    target_scaler: StandardScaler
    contract: Contract
    calibration: Calibration
    reference: Reference
    golden: Golden
    card: Card

    @property
    def trusted_contract(self) -> Contract:
        """The contract whose module may be imported: of parts made in this process, their own."""
        return self.contract


@dataclass(frozen=True)
class Bundle(BundleParts):
    """The parts as read from `path`.

    Attributes:
        content_hash: ``sha256:<hex>``.
        served: the contract of the workload's file, which the bundle was checked against; None where it is
            only looked at.
    """

    content_hash: str
    path: Path
    served: Contract | None = None

    @property
    def trusted_contract(self) -> Contract:
        """The contract that is served: code is imported by it, never by what a file of the bundle says.

        Raises:
            ForeignBundle: the bundle was read without one.
        """
        if self.served is None:
            raise ForeignBundle(f"{self.path}: was read to be looked at, expected a contract that is served")
        return self.served


def write_bundle(parts: BundleParts, directory: Path) -> str:
    """Write `parts` as the new directory `directory`, whole or not at all.

    Returns:
        The content hash.

    Raises:
        FileExistsError: `directory` is there already; bundles are never changed.
        MalformedBundle: the parts do not fit together.
        BoundExceeded, ForbiddenOperator: `read_bundle` would refuse them.
    """
    _check_consistent(parts)
    return write_files(_serialise(parts), directory, FORMAT_VERSION)


def read_bundle(path: Path, expected_hash: str | None = None, served: Contract | None = None) -> Bundle:
    """Check and parse the bundle in `path`.

    Args:
        path: the directory that `write_bundle` made, or a copy of it.
        expected_hash: refuse any other content.
        served: refuse a bundle of any other workload or module; without it the bundle cannot be run.

    Raises:
        BundleError: see training.runtime.errors for what kinds there are.
        OSError: a file cannot be read.
    """
    content_hash = read_content_hash(path) if expected_hash is None else expected_hash
    parts = _parse(path, read_files(path, _FILES, FORMAT_VERSION, content_hash))
    if served is not None:
        _check_origin(path, parts.contract, served)
    return Bundle(**vars(parts), content_hash=content_hash, path=path, served=served)


def read_content_hash(path: Path) -> str:
    """Read the content hash of a bundle from its manifest alone: the other files are not opened.

    Raises:
        BundleError: the manifest is not one of this format.
    """
    return read_manifest(path, FORMAT_VERSION).content_hash


def _serialise(parts: BundleParts) -> dict[str, bytes]:
    return {
        "model.onnx": parts.onnx,
        "scaler.json": parts.scaler.model_dump_json().encode(),
        "target_scaler.json": parts.target_scaler.model_dump_json().encode(),
        "contract.json": parts.contract.model_dump_json(by_alias=True).encode(),
        "interval.json": parts.calibration.model_dump_json().encode(),
        "reference.npz": pack_arrays("reference.npz", vars(parts.reference)),
        "golden.npz": pack_arrays("golden.npz", _golden_arrays(parts.golden)),
        "card.json": parts.card.model_dump_json().encode(),
    }


_FILES = (
    "model.onnx",
    "scaler.json",
    "target_scaler.json",
    "contract.json",
    "interval.json",
    "reference.npz",
    "golden.npz",
    "card.json",
)


def _parse(path: Path, files: dict[str, bytes]) -> BundleParts:
    try:
        for name in (name for name in files if name.endswith(".json")):
            check_json(name, files[name])
        contract = Contract.model_validate_json(files["contract.json"])
        parts = BundleParts(
            onnx=files["model.onnx"],
            scaler=StandardScaler.model_validate_json(files["scaler.json"]),
            target_scaler=StandardScaler.model_validate_json(files["target_scaler.json"]),
            contract=contract,
            calibration=calibration_type(contract.task).model_validate_json(files["interval.json"]),
            reference=Reference(**unpack_arrays("reference.npz", files["reference.npz"])),
            golden=_golden(unpack_arrays("golden.npz", files["golden.npz"])),
            card=Card.model_validate_json(files["card.json"]),
        )
        _check_consistent(parts)
    except BundleError as error:
        raise type(error)(f"{path}: {error}") from error
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise MalformedBundle(f"{path}: {error}") from error
    return parts


def _check_origin(path: Path, found: Contract, served: Contract) -> None:
    """Raise ForeignBundle where a bundle is not of the workload that is served, or not of its module."""
    if found.workload != served.workload:
        raise ForeignBundle(f"{path}: is of the workload {found.workload!r}, expected {served.workload!r}")
    if found.task != served.task:
        raise ForeignBundle(f"{path}: contract.task is {found.task!r}, expected {served.task!r}")
    if found.module != served.module:
        raise ForeignBundle(
            f"{path}: contract.module is {found.module!r}, expected {served.module!r} as in the file of the "
            f"workload {served.workload}; train a version by it"
        )


def _golden_arrays(golden: Golden) -> dict[str, FloatArray]:
    return {"raw": golden.raw, "features": golden.features, **golden.outputs.arrays}


def _golden(arrays: dict[str, FloatArray]) -> Golden:
    raw, features = arrays.pop("raw"), arrays.pop("features")
    return Golden(raw, features, Predicted(arrays))


def _check_consistent(parts: BundleParts) -> None:
    """Raise MalformedBundle where shapes or names disagree, and what `check_graph` does of the graph."""
    check_graph(parts.onnx)
    names, shape = parts.card.feature_names, parts.contract.raw_shape
    golden, reference = parts.golden, parts.reference
    rows = len(golden.raw)
    lengths = {f"golden.{name}": (len(array), rows) for name, array in golden.outputs.arrays.items()}
    expected = {
        "scaler.names": (parts.scaler.names, names),
        "card.workload": (parts.card.workload, parts.contract.workload),
        "golden.raw": (golden.raw.shape[1:], shape),
        "golden.features": (golden.features.shape, (rows, *golden.features.shape[1:-1], len(names))),
        "reference.features": (reference.features.shape[1:], golden.features.shape[1:]),
        "reference.raw": (reference.raw.shape, (len(reference.features), *shape)),
    }
    for what, (got, wanted) in (expected | lengths).items():
        if got != wanted:
            raise MalformedBundle(f"{what}: got {got}, expected {wanted}")
    if not rows:
        raise MalformedBundle("golden: got 0 rows, expected at least 1")
