"""Bundles that lie behind MLflow's artifact API, by plain HTTP: whoever reads them imports no MLflow.

The API has two calls: ``GET {root}?path=FOLDER`` lists a folder, ``GET {root}/PATH`` gives a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from training.runtime.bounds import check_sizes, most_bytes
from training.runtime.environment import Environment
from training.runtime.errors import BoundExceeded

if TYPE_CHECKING:
    import httpx

_ROOT = "/api/2.0/mlflow-artifacts/artifacts"
_SCHEMES = frozenset({"mlflow-artifacts", "http", "https"})
_HTTP = frozenset({"http", "https"})
_TIMEOUT_S = 30.0
_MOST_LIST_BYTES = 256 * 1024
_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


class ArtifactFolder(NamedTuple):
    """A folder of an MLflow server's artifacts.

    Attributes:
        root: URL of the artifact API.
        path: of the folder below it, not quoted.
    """

    root: str
    path: str


def is_remote(source: str) -> bool:
    """Return whether the source of a model version is behind an artifact API, and no path."""
    return urlsplit(source).scheme in _SCHEMES


def locate(source: str, registry_uri: str) -> ArtifactFolder:
    """Return where a source is, as MLflow resolves it: one that names no host is at the registry.

    Args:
        source: ``mlflow-artifacts:/PATH``, ``mlflow-artifacts://HOST/PATH``, or the whole URL.
        registry_uri: RAYSONDE_REGISTRY_URI.

    Raises:
        OSError: the source names no host and the registry is no server, or the URL is not of this API.
    """
    location, registry = urlsplit(source), urlsplit(registry_uri)
    if location.scheme in _HTTP:
        prefix, anchor, path = location.path.partition(f"{_ROOT}/")
        if not anchor:
            raise OSError(f"{source}: expected an address of MLflow's artifact API, with {_ROOT}/")
        return ArtifactFolder(
            urlunsplit((location.scheme, location.netloc, prefix + _ROOT, "", "")), unquote(path)
        )
    if registry.scheme not in _HTTP:
        raise OSError(
            f"{source}: lies with an MLflow server; RAYSONDE_REGISTRY_URI has to be its address, http://HOST:PORT"
        )
    root = registry.path.rstrip("/") + _ROOT
    netloc = location.netloc or registry.netloc
    return ArtifactFolder(
        urlunsplit((registry.scheme, netloc, root, "", "")), unquote(location.path).strip("/")
    )


def download_folder(
    source: str, registry_uri: str, home: Path, environment: Environment | None = None
) -> None:
    """Copy the files of a remote folder into the new folder `home`, no more than a bundle may have.

    Nothing else of them is checked here.

    Args:
        source: see `locate`.
        registry_uri: RAYSONDE_REGISTRY_URI.
        home: made; its parent is there.
        environment: may hold MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD,
            as MLflow's own client reads them; None: that of this process.

    Raises:
        BoundExceeded: they are too many, or too large.
        OSError: the server cannot be reached, refuses, or has no such folder of files.
    """
    folder = locate(source, registry_uri)
    home.mkdir()
    with server_client(source, environment) as client:
        files = _files(client, folder, source)
        check_sizes(files)
        for name, size in files.items():
            _download(client, folder, name, home / name)
            if (home / name).stat().st_size != size:
                raise OSError(f"{source}: {name}: got {(home / name).stat().st_size} bytes, expected {size}")


def download_file(
    source: str, registry_uri: str, name: str, home: Path, environment: Environment | None = None
) -> None:
    """Copy one file of a remote folder to `home/name`; arguments and errors as of `download_folder`."""
    with server_client(source, environment) as client:
        _download(client, locate(source, registry_uri), name, home / name)


@contextmanager
def server_client(source: str, environment: Environment | None) -> Iterator[httpx.Client]:
    """Open an HTTP client that signs in as MLflow's does, and raises httpx's errors as OSErrors.

    Args:
        source: what is asked for, to be named in errors.
        environment: as of `download_folder`.

    Raises:
        FileNotFoundError: the server answers 404.
        PermissionError: it answers 401 or 403.
        OSError: it cannot be reached, or answers with another error.
    """
    import httpx  # here: 40 ms and some megabytes, which a replica with local bundles never needs

    variables = environment or Environment.read()
    headers, auth = {"Accept-Encoding": "identity"}, None
    if token := variables.mlflow_tracking_token.get_secret_value():
        headers["Authorization"] = f"Bearer {token}"
    elif user := variables.mlflow_tracking_username:
        auth = httpx.BasicAuth(user, variables.mlflow_tracking_password.get_secret_value())
    try:
        with httpx.Client(timeout=_TIMEOUT_S, headers=headers, auth=auth) as client:
            yield client
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        kind = {404: FileNotFoundError, 401: PermissionError, 403: PermissionError}.get(status, OSError)
        raise kind(f"{source}: the MLflow server answers {status} for {error.request.url.path}") from error
    except httpx.HTTPError as error:
        raise OSError(f"{source}: the MLflow server cannot be read: {error!r}") from error


def _files(client: httpx.Client, folder: ArtifactFolder, source: str) -> dict[str, int]:
    """Sizes in bytes of the files, by name."""
    with client.stream("GET", folder.root, params={"path": folder.path}) as answer:
        answer.raise_for_status()
        text = b"".join(_pieces(answer, _MOST_LIST_BYTES, source))
    try:
        listed = [(PurePosixPath(one["path"]).name, one) for one in json.loads(text).get("files", ())]
        files = {name: int(one["file_size"]) for name, one in listed if not one.get("is_dir")}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise OSError(f"{source}: got a list of files that is none: {text[:200]!r}") from error
    if not files or len(files) < len(listed):
        found = f"got {len(files)} files and {len(listed) - len(files)} folders"
        raise FileNotFoundError(f"{source}: {found}, expected the files of a bundle")
    for name in files:
        if not _FILE_NAME.fullmatch(name):
            raise OSError(
                f"{source}: got a file named {name[:100]!r}, expected letters, digits, '.', '_' and '-'"
            )
    return files


def _download(client: httpx.Client, folder: ArtifactFolder, name: str, file: Path) -> None:
    url = f"{folder.root}/{quote(f'{folder.path}/{name}')}"
    with client.stream("GET", url) as answer, file.open("xb") as written:
        answer.raise_for_status()
        for piece in _pieces(answer, most_bytes(name), name):
            written.write(piece)


def _pieces(answer: httpx.Response, most: int, name: str) -> Iterator[bytes]:
    """Yield a body as it was sent, and fail once it has more bytes than expected."""
    if encoding := answer.headers.get("Content-Encoding"):
        raise OSError(f"{name}: is sent as {encoding[:100]}, expected as it is, as was asked for")
    got = 0
    for piece in answer.iter_raw():
        got += len(piece)
        if got > most:
            raise BoundExceeded(f"{name}: the MLflow server sends more than {most:,} bytes")
        yield piece
