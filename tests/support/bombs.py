"""What a bundle may be made of to harm whoever loads it."""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def rewrite(bundle: Path, name: str, content: bytes) -> None:
    """Change a file and bring the manifest into line, as someone with write access could."""
    (bundle / name).write_bytes(content)
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"][name] = "sha256:" + hashlib.sha256(content).hexdigest()
    write_manifest(bundle, manifest)


def write_manifest(bundle: Path, manifest: object) -> None:
    (bundle / "manifest.json").write_text(json.dumps(manifest, sort_keys=True, separators=(",", ":")))


def archive_bomb(size: int, members: int = 1, told: int | None = None) -> bytes:
    """An archive of zeros, a thousandth of what it unpacks to.

    Args:
        size: of a member in bytes, whole MiB.
        members: how many there are.
        told: size of a member that the archive tells instead.
    """
    piece, crc = bytes(2**20), 0
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    # compressed once, and laid behind each other: to compress a gigabyte takes seconds
    packed = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
    stream = packed * (size // len(piece)) + packer.flush()
    for _ in range(size // len(piece)):
        crc = zlib.crc32(piece, crc)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for number in range(members):
            archive.writestr(f"a{number}.npy", stream)
    # of an entry: its method, its checksum, and behind the packed size the size
    content = buffer.getvalue()
    for signature, method_at, crc_at, size_at in ((b"PK\x03\x04", 8, 14, 22), (b"PK\x01\x02", 10, 16, 24)):
        changed = bytearray(content)
        for found in re.finditer(re.escape(signature), content):
            at = found.start()
            struct.pack_into("<H", changed, at + method_at, zipfile.ZIP_DEFLATED)
            struct.pack_into("<L", changed, at + crc_at, crc)
            struct.pack_into("<L", changed, at + size_at, size if told is None else told)
        content = bytes(changed)
    return content


def model_of(*nodes: onnx.NodeProto, features: int = 4, **weights: np.ndarray) -> bytes:
    """A model of these nodes, from `x` (batch, features) to `y` (batch, 1)."""
    graph = helper.make_graph(
        nodes,
        "bomb",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", features])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


def endless_loop() -> bytes:
    """A model that counts to 10 ** 12."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["still_going"]),
            helper.make_node("Add", ["value", "one"], ["more"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, ["batch", 1]),
        ],
        [
            helper.make_tensor_value_info("still_going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("more", TensorProto.FLOAT, ["batch", 1]),
        ],
    )
    return model_of(
        helper.make_node("MatMul", ["x", "w"], ["start"]),
        helper.make_node("Loop", ["times", "go", "start"], ["y"], body=body),
        w=np.ones((4, 1), np.float32),
        one=np.ones(1, np.float32),
        times=np.array(10**12),
        go=np.array(True),
    )


def memory_bomb(doublings: int = 28) -> bytes:
    """A model of some kilobytes that lays a column beside itself again and again."""
    doubled = [
        helper.make_node("Concat", [f"a{number}"] * 2, [f"a{number + 1}"], axis=1)
        for number in range(doublings)
    ]
    return model_of(
        helper.make_node("MatMul", ["x", "w"], ["a0"]),
        *doubled,
        helper.make_node("ReduceMean", [f"a{doublings}", "axes"], ["y"], keepdims=1),
        w=np.ones((4, 1), np.float32),
        axes=np.array([1]),
    )


def tree(true: list[int], false: list[int]) -> bytes:
    """A model of one tree over the first feature; a node without children is a leaf."""
    nodes = range(len(true))
    is_leaf = [not true[node] and not false[node] for node in nodes]
    leaves = [node for node in nodes if is_leaf[node]]
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_treeids=[0] * len(nodes),
        nodes_nodeids=list(nodes),
        nodes_featureids=[0] * len(nodes),
        nodes_values=[0.5] * len(nodes),
        nodes_modes=["LEAF" if leaf else "BRANCH_LEQ" for leaf in is_leaf],
        nodes_truenodeids=true,
        nodes_falsenodeids=false,
        target_treeids=[0] * len(leaves),
        target_nodeids=leaves,
        target_ids=[0] * len(leaves),
        target_weights=[1.0] * len(leaves),
    )
    return model_of(node)


def chain_of_nodes(levels: int) -> bytes:
    """A tree with a leaf and another branch on each of its levels."""
    true = [number + 2 if number % 2 == 0 else 0 for number in range(2 * levels)] + [0]
    false = [number + 1 if number % 2 == 0 else 0 for number in range(2 * levels)] + [0]
    return tree(true, false)
