"""Bundles on a node: whole or not there, of the contract that is served; and which of them stay warm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from toy.parts import toy_contract, toy_parts

from deployments.actors.arm import start_arm
from deployments.lifecycle.bundle_cache import (
    WARM_VERSIONS,
    WARM_VERSIONS_OF_AN_ARM,
    BundleCache,
    WarmVersions,
)
from features.contract import Contract
from tests.support.bombs import archive_bomb, endless_loop, memory_bomb, rewrite
from training.runtime.bundle import Bundle, read_content_hash, write_bundle
from training.runtime.errors import (
    BoundExceeded,
    BundleError,
    ForbiddenOperator,
    ForeignBundle,
    TamperedBundle,
)
from training.runtime.manifest import MANIFEST


def versions(folder: Path, *seeds: int) -> dict[str, str]:
    """Bundles that differ, as content hash -> path."""
    made = {}
    for seed in seeds:
        path = folder / f"made-{seed}"
        made[write_bundle(toy_parts(seed), path)] = str(path)
    return made


def test_a_bundle_is_copied_once_and_read_from_there(tmp_path: Path) -> None:
    ((bundle, source),) = versions(tmp_path, 0).items()
    cache = BundleCache(tmp_path / "cache", toy_contract())
    found = cache.fetch(bundle, f"file://{source}")
    assert (found.content_hash, found.path) == (bundle, tmp_path / "cache" / bundle.removeprefix("sha256:"))
    assert cache.fetch(bundle, "/nowhere").path == found.path
    assert list((tmp_path / "cache").iterdir()) == [found.path], "nothing is left of the copying"


def test_another_content_does_not_come_into_the_cache(tmp_path: Path) -> None:
    made = versions(tmp_path, 0, 1)
    (bundle, _), (_, other) = made.items()
    cache = BundleCache(tmp_path / "cache", toy_contract())
    with pytest.raises(BundleError):
        cache.fetch(bundle, other)
    with pytest.raises(FileNotFoundError):
        cache.fetch(bundle, str(tmp_path / "nothing"))
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("damage", ["a file", "the manifest", "all files"])
def test_a_bundle_that_was_changed_in_the_cache_is_copied_again(tmp_path: Path, damage: str) -> None:
    ((bundle, source),) = versions(tmp_path, 0).items()
    cache = BundleCache(tmp_path / "cache", toy_contract())
    home = cache.fetch(bundle, source).path
    if damage == "a file":
        (home / "model.onnx").write_bytes(b"another")
    elif damage == "the manifest":
        (home / MANIFEST).unlink()
    else:
        for file in home.iterdir():
            file.unlink()
    assert cache.fetch(bundle, source).content_hash == bundle
    assert list((tmp_path / "cache").iterdir()) == [home]


def test_a_bundle_that_was_changed_in_the_cache_and_at_its_source_is_refused(tmp_path: Path) -> None:
    ((bundle, source),) = versions(tmp_path, 0).items()
    cache = BundleCache(tmp_path / "cache", toy_contract())
    home = cache.fetch(bundle, source).path
    for folder in (home, Path(source)):
        (folder / "model.onnx").write_bytes(b"another")
    with pytest.raises(TamperedBundle):
        cache.fetch(bundle, source)
    assert list((tmp_path / "cache").iterdir()) == []


def changed(contract: Contract, **members: object) -> Contract:
    """Another contract: a copy would keep what the first has worked out of its fields."""
    fields = {name: getattr(contract, name) for name in Contract.model_fields}
    return Contract.model_construct(**{**fields, **members})


def other_schema(contract: Contract) -> Contract:
    return changed(contract, schema_version="9.9")


def other_channels(contract: Contract) -> Contract:
    first, second, *rest = contract.fields
    return changed(contract, fields=(second, first, *rest))


def other_module(contract: Contract) -> Contract:
    return changed(contract, module="features.workloads.apogee")


def other_workload(contract: Contract) -> Contract:
    return changed(contract, workload="else")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_schema, r"speaks schema 1\.0 with \[.*\], expected 9\.9"),
        (other_channels, r"with \['length_m', 'width_m', .*expected 1\.0 with \['width_m', 'length_m'"),
        (other_module, r"contract\.module is 'toy\.workload', expected 'features\.workloads\.apogee'"),
        (other_workload, "is of the workload 'toy', expected 'else'"),
    ],
)
def test_a_bundle_of_another_contract_is_refused(
    tmp_path: Path, change: Callable[[Contract], Contract], message: str
) -> None:
    ((bundle, source),) = versions(tmp_path, 0).items()
    with pytest.raises(ForeignBundle, match=message):
        BundleCache(tmp_path / "cache", change(toy_contract())).fetch(bundle, source)


def test_a_contract_that_differs_in_words_alone_is_the_same(tmp_path: Path) -> None:
    parts = toy_parts()
    redescribed = replace(parts, contract=parts.contract.model_copy(update={"description": "told otherwise"}))
    bundle = write_bundle(redescribed, tmp_path / "made")
    BundleCache(tmp_path / "cache", toy_contract()).fetch(bundle, str(tmp_path / "made"))


def test_a_source_with_a_link_is_not_copied(tmp_path: Path) -> None:
    ((bundle, source),) = versions(tmp_path, 0).items()
    (tmp_path / "secret").write_text("told to nobody")
    (Path(source) / "card.json").unlink()
    (Path(source) / "card.json").symlink_to(tmp_path / "secret")
    with pytest.raises(TamperedBundle, match=r"card\.json: is not a file"):
        BundleCache(tmp_path / "cache", toy_contract()).fetch(bundle, source)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("model.onnx", endless_loop, ForbiddenOperator),
        ("model.onnx", memory_bomb, BoundExceeded),
        ("reference.npz", lambda: archive_bomb(1100 * 2**20), BoundExceeded),
    ],
)
def test_a_bundle_that_takes_too_much_is_refused_and_the_one_before_goes_on(
    tmp_path: Path, name: str, content: Callable[[], bytes], error: type[BundleError]
) -> None:
    (first, source), (_, other) = versions(tmp_path, 0, 1).items()
    rewrite(Path(other), name, content())
    warm = WarmVersions(BundleCache(tmp_path / "cache", toy_contract()), start_arm)
    arm = warm.load(first, source)
    with pytest.raises(error):
        warm.load(read_content_hash(Path(other)), other)
    assert warm.warm(first) is arm
    assert warm.load(first, source) is arm
    arm.check_golden()


def test_the_least_recently_used_version_goes_first(tmp_path: Path) -> None:
    made = versions(tmp_path, 0, 1, 2)
    first, second, third = made
    started: list[str] = []

    def start(bundle: Bundle) -> str:
        started.append(bundle.content_hash)
        return f"runtime of {bundle.content_hash}"

    warm = WarmVersions(BundleCache(tmp_path / "cache", toy_contract()), start, limit=2)
    assert warm.warm(first) is None
    for bundle in (first, second, first):
        assert warm.load(bundle, made[bundle]) == f"runtime of {bundle}"
    assert warm.warm(first) == f"runtime of {first}"
    warm.load(third, made[third])
    assert [warm.warm(bundle) is not None for bundle in made] == [True, False, True]
    assert (len(warm), started) == (2, [first, second, third])
    warm.load(second, made[second])
    assert [warm.warm(bundle) is not None for bundle in made] == [False, True, True]


def test_four_versions_of_an_arm_stay_warm_and_as_many_of_four_arms(tmp_path: Path) -> None:
    assert (WARM_VERSIONS_OF_AN_ARM, WARM_VERSIONS) == (4, 16)
    made = versions(tmp_path, *range(5))
    warm = WarmVersions(
        BundleCache(tmp_path / "cache", toy_contract()), lambda bundle: bundle, WARM_VERSIONS_OF_AN_ARM
    )
    for bundle, source in made.items():
        warm.load(bundle, source)
    assert [warm.warm(bundle) is not None for bundle in made] == [False, True, True, True, True]


def test_a_version_that_does_not_start_is_not_kept(tmp_path: Path) -> None:
    ((bundle, source),) = versions(tmp_path, 0).items()

    def start(_: Bundle) -> str:
        raise ValueError("off by 1 m")

    warm = WarmVersions(BundleCache(tmp_path / "cache", toy_contract()), start)
    with pytest.raises(ValueError, match="off by 1 m"):
        warm.load(bundle, source)
    assert (len(warm), warm.warm(bundle)) == (0, None)
