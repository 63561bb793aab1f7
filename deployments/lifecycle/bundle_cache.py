"""Bundles on this node by content hash, and the few that a replica keeps loaded."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

from deployments.runtime.process_memory import trim_heap
from features.contract import Contract
from training.runtime.artifact_server import download_folder, is_remote
from training.runtime.bounds import copy_files
from training.runtime.bundle import Bundle, read_bundle
from training.runtime.errors import BundleError, ForeignBundle

Runtime = TypeVar("Runtime")

log = logging.getLogger(__name__)

# The version in use and the one before it, and as many again staged: of one arm, and of four for a scaler.
WARM_VERSIONS_OF_AN_ARM = 4
WARM_VERSIONS = 4 * WARM_VERSIONS_OF_AN_ARM


def stamp_of(source: str) -> Hashable:
    """Return what is another value once the files at a path have changed; nothing is known of a server's."""
    if is_remote(source):
        return None
    root = Path(source.removeprefix("file://"))
    try:
        files = [(file, file.stat()) for file in root.rglob("*") if file.is_file()]
    except OSError:
        return ()
    return tuple(sorted((str(file), stat.st_size, stat.st_mtime_ns) for file, stat in files))


class BundleCache:
    """A folder of verified bundles, shared by the processes of a node. A bundle is there whole or not at all.

    Args:
        root: the folder; made when the first bundle comes.
        contract: what is served; bundles of another contract are refused.
        registry_uri: the MLflow server of sources that name none, if the registry is one.
    """

    def __init__(self, root: Path, contract: Contract, registry_uri: str = "") -> None:
        self._root = root
        self._contract = contract
        self._registry_uri = registry_uri

    def fetch(self, bundle: str, source: str) -> Bundle:
        """Return the bundle with this hash, copied from `source` when it is not here yet.

        Args:
            bundle: content hash.
            source: a path, or where MLflow's artifact API has it (`training.runtime.artifact_server.locate`).

        Raises:
            BundleError: what lies at the source is not that bundle, or has been changed.
            OSError: nothing can be read at the source, now.
        """
        home = self._root / bundle.removeprefix("sha256:")
        cached = self._read_cached(home, bundle) if home.is_dir() else None
        if cached is None:
            self._copy(source, home, bundle)
            cached = self._read(home, bundle)
        return self._check(cached)

    def _read_cached(self, home: Path, bundle: str) -> Bundle | None:
        """Read a bundle that was whole when it came; None where it no longer is: the source may be."""
        try:
            return self._read(home, bundle)
        except BundleError as torn:
            log.warning("a cached bundle is copied again: %s", torn)
            self._discard(home)
            return None

    def _read(self, home: Path, bundle: str) -> Bundle:
        return read_bundle(home, expected_hash=bundle, served=self._contract)

    def _check(self, bundle: Bundle) -> Bundle:
        ours, theirs = self._contract, bundle.contract
        if (theirs.schema_version, theirs.channels) != (ours.schema_version, ours.channels):
            raise ForeignBundle(
                f"{bundle.path}: speaks schema {theirs.schema_version} with {list(theirs.channels)}, "
                f"expected {ours.schema_version} with {list(ours.channels)}"
            )
        return bundle

    def _discard(self, home: Path) -> None:
        """Move a bundle away at once, and then delete it: others may be looking at it, or do the same."""
        gone = Path(tempfile.mkdtemp(dir=self._root, prefix=".staging-"))
        with suppress(FileNotFoundError):
            home.rename(gone / "bundle")
        shutil.rmtree(gone, ignore_errors=True)

    def _copy(self, source: str, home: Path, bundle: str) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=self._root, prefix=".staging-"))
        try:
            copied = staging / "bundle"
            if is_remote(source):
                download_folder(source, self._registry_uri, copied)
            else:
                copy_files(Path(source.removeprefix("file://")), copied)
            read_bundle(copied, expected_hash=bundle)  # never let a bad one into the cache
            try:
                copied.rename(home)
            except OSError:
                if not home.is_dir():  # otherwise another process was quicker, with the same content
                    raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)


class WarmVersions(Generic[Runtime]):
    """The runtimes that a replica holds, by bundle hash; the least recently used goes first.

    Thread-safe: loading happens beside serving, in a thread.
    """

    def __init__(
        self, cache: BundleCache, start: Callable[[Bundle], Runtime], limit: int = WARM_VERSIONS
    ) -> None:
        self._cache = cache
        self._start = start
        self._limit = limit
        self._runtimes: OrderedDict[str, Runtime] = OrderedDict()
        self._lock = threading.Lock()

    def warm(self, bundle: str) -> Runtime | None:
        """Return the runtime, if it is loaded."""
        with self._lock:
            runtime = self._runtimes.get(bundle)
            if runtime is not None:
                self._runtimes.move_to_end(bundle)
            return runtime

    def load(self, bundle: str, source: str) -> Runtime:
        """Load, check against the golden inputs (`start` does) and keep; returns at once if it is warm."""
        runtime = self.warm(bundle)
        if runtime is None:
            runtime = self._start(self._cache.fetch(bundle, source))
            trim_heap()
            with self._lock:
                self._runtimes[bundle] = runtime
                while len(self._runtimes) > self._limit:
                    self._runtimes.popitem(last=False)
        return runtime

    def __len__(self) -> int:
        with self._lock:
            return len(self._runtimes)
