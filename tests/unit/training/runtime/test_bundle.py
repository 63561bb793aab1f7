"""Bundles: what was written comes back, and nothing else is read."""

from __future__ import annotations

import io
import json
import sys
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy.parts import toy_contract, toy_parts

from features.config import BUILT_IN, load_contract
from tests.support.bombs import archive_bomb, endless_loop, rewrite, write_manifest
from training.runtime.bounds import MIB
from training.runtime.bundle import FORMAT_VERSION, read_bundle, read_content_hash, write_bundle
from training.runtime.errors import (
    BoundExceeded,
    BundleError,
    ForbiddenOperator,
    ForeignBundle,
    MalformedBundle,
    TamperedBundle,
    UnsupportedFormat,
)
from training.runtime.inference import load_model
from training.runtime.tasks.base import Predicted

FILES = (
    "card.json",
    "contract.json",
    "golden.npz",
    "interval.json",
    "manifest.json",
    "model.onnx",
    "reference.npz",
    "scaler.json",
    "target_scaler.json",
)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_bundle(toy_parts(), tmp_path / "bundle")
    return tmp_path / "bundle"


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    parts = toy_parts()
    content_hash = write_bundle(parts, tmp_path / "deep" / "bundle")
    found = read_bundle(tmp_path / "deep" / "bundle", content_hash, toy_contract())
    assert found.content_hash == content_hash == read_content_hash(found.path)
    for name in ("onnx", "scaler", "target_scaler", "contract", "calibration", "card"):
        assert getattr(found, name) == getattr(parts, name)
    for got, expected in (
        (vars(found.reference), vars(parts.reference)),
        (found.golden.outputs.arrays, parts.golden.outputs.arrays),
    ):
        assert got.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(got[name], array)
    np.testing.assert_array_equal(found.golden.raw, parts.golden.raw)
    np.testing.assert_array_equal(found.golden.features, parts.golden.features)
    assert tuple(sorted(entry.name for entry in found.path.iterdir())) == FILES
    assert [entry.name for entry in found.path.parent.iterdir()] == ["bundle"]


def test_a_contract_is_spelt_as_in_workload_files(bundle: Path) -> None:
    written = json.loads((bundle / "contract.json").read_bytes())
    assert written == toy_parts().contract.model_dump(mode="json", by_alias=True)
    assert written["fields"][0].keys() >= {"min", "max"}


def test_features_may_be_sequences(tmp_path: Path) -> None:
    parts = toy_parts()
    golden, reference = parts.golden, parts.reference
    steps = replace(
        parts,
        golden=replace(golden, features=np.stack([golden.features] * 5, axis=1)),
        reference=replace(reference, features=np.stack([reference.features] * 5, axis=1)),
    )
    write_bundle(steps, tmp_path / "bundle")
    assert read_bundle(tmp_path / "bundle").golden.features.shape[1:] == (5, 4)


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("golden", {"raw": np.zeros((8, 2))}, r"golden\.raw: got \(2,\), expected \(3,\)"),
        ("golden", {"raw": np.zeros((7, 3))}, r"golden\.features: got \(8, 4\), expected \(7, 4\)"),
        ("golden", {"features": np.zeros((8, 3))}, r"golden\.features: got \(8, 3\), expected \(8, 4\)"),
        ("reference", {"features": np.zeros((64, 3))}, r"reference\.features: got \(3,\), expected \(4,\)"),
        ("reference", {"raw": np.zeros((63, 3))}, r"reference\.raw: got \(63, 3\), expected \(64, 3\)"),
        ("reference", {"raw": np.zeros((64, 2))}, r"reference\.raw: got \(64, 2\), expected \(64, 3\)"),
    ],
)
def test_every_array_has_the_shape_that_the_others_ask_for(
    tmp_path: Path, part: str, change: dict[str, np.ndarray], message: str
) -> None:
    parts = toy_parts()
    with pytest.raises(MalformedBundle, match=message):
        write_bundle(replace(parts, **{part: replace(getattr(parts, part), **change)}), tmp_path / "bundle")


def test_names_and_a_golden_row_are_needed(tmp_path: Path) -> None:
    parts = toy_parts()
    scaler = parts.scaler.model_copy(update={"names": ("a", "b", "c", "d")})
    with pytest.raises(MalformedBundle, match=r"^scaler\.names: got \('a', 'b', 'c', 'd'\), expected \("):
        write_bundle(replace(parts, scaler=scaler), tmp_path / "bundle")
    none = Predicted({name: array[:0] for name, array in parts.golden.outputs.arrays.items()})
    golden = replace(parts.golden, raw=np.empty((0, 3)), features=np.empty((0, 4)), outputs=none)
    with pytest.raises(MalformedBundle, match="golden: got 0 rows, expected at least 1"):
        write_bundle(replace(parts, golden=golden), tmp_path / "bundle")


def test_the_hash_is_that_of_the_content(tmp_path: Path) -> None:
    first, second = (write_bundle(toy_parts(), tmp_path / name) for name in "ab")
    assert first == second
    assert write_bundle(toy_parts(seed=1), tmp_path / "c") != first


def test_bundles_are_never_changed(bundle: Path) -> None:
    with pytest.raises(FileExistsError, match="never changed"):
        write_bundle(toy_parts(seed=1), bundle)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0.0, 0.5, 0.999])
def test_one_flipped_bit_is_noticed(bundle: Path, name: str, place: float) -> None:
    content_hash = read_content_hash(bundle)
    content = bytearray((bundle / name).read_bytes())
    content[int(place * len(content))] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(BundleError):
        read_bundle(bundle, content_hash)
    if name != "manifest.json":
        with pytest.raises(TamperedBundle, match=name):
            read_bundle(bundle)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_noticed(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    expected = ForeignBundle if name == "manifest.json" else TamperedBundle
    with pytest.raises(expected, match=name):
        read_bundle(bundle)


def test_an_extra_file_is_noticed(bundle: Path) -> None:
    (bundle / "model.pkl").write_bytes(b"")
    with pytest.raises(TamperedBundle, match=r"model\.pkl"):
        read_bundle(bundle)


def test_an_extra_file_in_the_manifest_is_noticed(bundle: Path) -> None:
    rewrite(bundle, "model.pkl", b"x")
    with pytest.raises(TamperedBundle, match=r"model\.pkl"):
        read_bundle(bundle)


def test_a_changed_bundle_with_a_true_manifest_has_another_hash(bundle: Path) -> None:
    before = read_content_hash(bundle)
    rewrite(bundle, "card.json", (bundle / "card.json").read_bytes().replace(b"1.25", b"0.25"))
    assert read_bundle(bundle).card.metrics == {"mae": 0.25}
    with pytest.raises(TamperedBundle, match=before):
        read_bundle(bundle, expected_hash=before)


def test_another_spelling_of_the_manifest_is_refused(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(manifest, indent=1))
    with pytest.raises(TamperedBundle, match="not as it was written"):
        read_bundle(bundle)


def test_another_format_version_is_refused(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    write_manifest(bundle, {**manifest, "format_version": FORMAT_VERSION + 1})
    with pytest.raises(UnsupportedFormat, match=rf"{FORMAT_VERSION + 1}, expected {FORMAT_VERSION}"):
        read_bundle(bundle)


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ForeignBundle, match="no manifest"):
        read_bundle(tmp_path)
    write_manifest(tmp_path, {"format": "something"})
    with pytest.raises(ForeignBundle, match="raysonde-bundle"):
        read_bundle(tmp_path)


def test_a_bundle_of_another_workload_is_refused(bundle: Path) -> None:
    with pytest.raises(ForeignBundle, match="'toy', expected 'apogee'"):
        read_bundle(bundle, served=load_contract(BUILT_IN, "apogee"))


class Payload:
    ran = False

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return setattr, (Payload, "ran", True)


def test_pickles_are_not_loaded(bundle: Path) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, raw=np.array([Payload()], dtype=object))
    rewrite(bundle, "golden.npz", buffer.getvalue())
    with pytest.raises(MalformedBundle, match=r"golden\.npz: raw\.npy: expected a header of numbers"):
        read_bundle(bundle)
    assert not Payload.ran


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("golden.npz", b"no archive"),
        ("golden.npz", b"PK\x03\x04 cut off"),
        ("scaler.json", b"{}"),
        ("card.json", b"["),
    ],
)
def test_what_cannot_be_parsed_is_refused(bundle: Path, name: str, content: bytes) -> None:
    rewrite(bundle, name, content)
    with pytest.raises(MalformedBundle):
        read_bundle(bundle)


def test_parts_that_do_not_fit_are_not_written(tmp_path: Path) -> None:
    parts = toy_parts()
    short = replace(
        parts,
        golden=replace(
            parts.golden, outputs=Predicted({**parts.golden.outputs.arrays, "lower": np.zeros(3)})
        ),
    )
    with pytest.raises(MalformedBundle, match=r"golden\.lower: got 3, expected 8"):
        write_bundle(short, tmp_path / "bundle")
    foreign = replace(parts, card=parts.card.model_copy(update={"workload": "apogee"}))
    with pytest.raises(MalformedBundle, match=r"card\.workload"):
        write_bundle(foreign, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_of_another_module_is_refused_and_its_module_not_imported(tmp_path: Path) -> None:
    parts, served = toy_parts(), toy_contract()
    named = parts.contract.model_copy(update={"module": "antigravity"})
    write_bundle(replace(parts, contract=named), tmp_path / "bundle")
    with pytest.raises(ForeignBundle, match=r"contract\.module is 'antigravity', expected 'toy\.workload'"):
        read_bundle(tmp_path / "bundle", served=served)
    looked_at = read_bundle(tmp_path / "bundle")
    with pytest.raises(ForeignBundle, match="expected a contract that is served"):
        load_model(looked_at)
    assert "antigravity" not in sys.modules


def test_a_bundle_of_another_task_is_refused(tmp_path: Path) -> None:
    write_bundle(toy_parts(), tmp_path / "bundle")
    served = toy_contract().model_copy(update={"task": "path"})
    with pytest.raises(ForeignBundle, match=r"contract\.task is 'regression', expected 'path'"):
        read_bundle(tmp_path / "bundle", served=served)


def test_a_bundle_that_unpacks_to_a_gigabyte_is_refused_before_it_does(bundle: Path) -> None:
    rewrite(bundle, "reference.npz", archive_bomb(1100 * MIB))
    tracemalloc.start()
    try:
        with pytest.raises(BoundExceeded, match=r"reference\.npz: unpacks to 1,153,433,600 bytes"):
            read_bundle(bundle)
        assert tracemalloc.get_traced_memory()[1] < 50 * MIB
    finally:
        tracemalloc.stop()


def test_a_graph_with_a_loop_is_refused_by_its_operator(bundle: Path) -> None:
    rewrite(bundle, "model.onnx", endless_loop())
    with pytest.raises(ForbiddenOperator, match=r"model\.onnx: has the operator 'Loop'"):
        read_bundle(bundle)
    with pytest.raises(ForbiddenOperator, match="'Loop'"):
        write_bundle(replace(toy_parts(), onnx=endless_loop()), bundle.parent / "other")


@pytest.mark.parametrize("name", ["card.json", "contract.json", "interval.json", "scaler.json"])
def test_json_is_bounded_before_it_is_parsed(bundle: Path, name: str) -> None:
    whole = (bundle / name).read_bytes()
    rewrite(bundle, name, whole[:-1] + b',"extra":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    with pytest.raises(BoundExceeded, match=f"{name}: is nested deeper"):
        read_bundle(bundle)
    rewrite(bundle, name, whole + b" " * MIB)
    with pytest.raises(BoundExceeded, match=f"{name}: has .* bytes, expected 1,048,576 at most"):
        read_bundle(bundle)


def test_a_link_is_refused(bundle: Path) -> None:
    (bundle / "card.json").rename(bundle.parent / "card.json")
    (bundle / "card.json").symlink_to(bundle.parent / "card.json")
    with pytest.raises(TamperedBundle, match=r"card\.json: is not a file"):
        read_bundle(bundle)


@pytest.mark.parametrize("name", ["../../secret.json", "/etc/hostname", "a/b.json", "..", ""])
def test_a_manifest_that_names_other_places_is_refused(bundle: Path, name: str) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"][name] = manifest["files"].pop("card.json")
    write_manifest(bundle, manifest)
    with pytest.raises(TamperedBundle, match="expected"):
        read_bundle(bundle)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container of a JSON value with every key or index of it."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in ((value, key), *places(value[key]))]


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".json")])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.data())
def test_whatever_json_says_a_bundle_is_read_or_refused(bundle: Path, name: str, data: st.DataObject) -> None:
    whole = (bundle / name).read_bytes(), (bundle / "manifest.json").read_bytes()
    value = json.loads(whole[0])
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(places(value) or [({}, "")]))
        container[key] = data.draw(ODD)
    content = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    try:
        if name == "manifest.json":
            (bundle / name).write_bytes(content)
        else:
            rewrite(bundle, name, content)
        with suppress(BundleError):
            load_model(read_bundle(bundle, served=toy_contract()))
    finally:
        (bundle / name).write_bytes(whole[0])
        (bundle / "manifest.json").write_bytes(whole[1])


@pytest.mark.parametrize("name", FILES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.data())
def test_whatever_bytes_it_has_a_bundle_is_read_or_refused(
    bundle: Path, name: str, data: st.DataObject
) -> None:
    whole = (bundle / name).read_bytes(), (bundle / "manifest.json").read_bytes()
    content = bytearray(whole[0])
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        if name == "manifest.json":
            (bundle / name).write_bytes(content)
        else:
            rewrite(bundle, name, bytes(content))
        with suppress(BundleError):
            load_model(read_bundle(bundle, served=toy_contract()))
    finally:
        (bundle / name).write_bytes(whole[0])
        (bundle / "manifest.json").write_bytes(whole[1])
