"""Sessions of ONNX Runtime: one that proves a graph under limits, and one that serves it."""

from __future__ import annotations

from functools import cache
from threading import Timer
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from training.runtime.bounds import MIB
from training.runtime.errors import BoundExceeded, MalformedBundle

if TYPE_CHECKING:
    import onnxruntime as ort

# Ours take some milliseconds. A kernel that runs is waited for: what it can do, the memory bounds.
PROOF_LIMIT_S = 5.0
# Of all that lives at once between the nodes, for the golden inputs.
PROOF_MEMORY_BYTES = 256 * MIB
# Constant parts are computed when a graph is opened, each of them up to this size.
_MOST_FOLDED_BYTES = MIB


def prove_graph(onnx: bytes, x: NDArray[np.float32], outputs: int, limit_s: float) -> None:
    """Run a graph as it is, once, in bounded time and memory.

    Args:
        onnx: the graph.
        x: golden inputs, scaled, (n, [steps,] features).
        outputs: columns of `y`.
        limit_s: time that the run may take.

    Raises:
        BoundExceeded: it takes more.
        MalformedBundle: it cannot be loaded, has other inputs or outputs, or cannot answer.
    """
    import onnxruntime as ort

    _register_bounded_memory()
    options = _options()
    # as it is: to optimise it would already run its constant parts
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.log_severity_level = 4  # what fails here is refused with its reason
    session = _session(onnx, options)
    _check_signature(session, x.shape[1:])
    y = run_within(session, x, limit_s)
    if y.size != len(x) * outputs:
        raise MalformedBundle(f"model.onnx: y has the shape {y.shape}, expected {(len(x), outputs)}")


def open_session(onnx: bytes) -> ort.InferenceSession:
    """Open the session that serves a graph, which was proven.

    Raises:
        MalformedBundle: it cannot be loaded.
    """
    options = _options()
    options.add_session_config_entry(
        "optimization.constant_folding_max_output_size_in_bytes", str(_MOST_FOLDED_BYTES)
    )
    return _session(onnx, options)


def _check_signature(session: ort.InferenceSession, shape: tuple[int, ...]) -> None:
    try:
        inputs = [(i.name, i.type, tuple(i.shape[1:])) for i in session.get_inputs()]
        outputs = [(o.name, o.type) for o in session.get_outputs()]
    except UnicodeDecodeError as error:
        raise MalformedBundle(f"model.onnx: names an input or output in other than UTF-8: {error}") from error
    if inputs != [("x", "tensor(float)", shape)] or outputs != [("y", "tensor(float)")]:
        expected = f"x float32 (batch, {', '.join(map(str, shape))}) -> y float32 (batch, outputs)"
        raise MalformedBundle(f"model.onnx: got {inputs} -> {outputs}, expected {expected}")


def run_within(session: ort.InferenceSession, x: NDArray[np.float32], limit_s: float) -> NDArray[np.float32]:
    """Return `y` of a run that is ended once it takes longer.

    Raises:
        BoundExceeded: it took longer, or more memory than its session has.
        MalformedBundle: it fails.
    """
    import onnxruntime as ort

    options, ended = ort.RunOptions(), []
    options.log_severity_level = 4
    # what the run needed goes back, also where several are proven in turn
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    def end() -> None:
        ended.append(True)
        options.terminate = True

    timer = Timer(limit_s, end)
    timer.daemon = True
    timer.start()
    try:
        (y,) = session.run(["y"], {"x": x}, options)
        return np.asarray(y)
    except Exception as error:
        if ended:
            raise BoundExceeded(
                f"model.onnx: takes more than {limit_s:g} s for {len(x)} golden inputs, and was ended"
            ) from error
        if "Available memory" in str(error) or "Failed to allocate" in str(error):
            raise BoundExceeded(
                f"model.onnx: takes more than {PROOF_MEMORY_BYTES:,} bytes for {len(x)} golden inputs"
            ) from error
        raise MalformedBundle(f"model.onnx: onnxruntime cannot run it: {error}") from error
    finally:
        timer.cancel()


def _options() -> ort.SessionOptions:
    import onnxruntime as ort  # here: routers and scalers do without its 19 MB

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # the bytes were walked as this format; there is another
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return options


def _session(onnx: bytes, options: ort.SessionOptions) -> ort.InferenceSession:
    import onnxruntime as ort

    try:
        # no fallback: it prints, and tries the same again
        return ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:
        raise MalformedBundle(f"model.onnx: onnxruntime refuses it: {error}") from error


@cache
def _register_bounded_memory() -> None:
    """Have sessions that ask for it share one bounded arena of this process."""
    import onnxruntime as ort

    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    as_requested = 1
    arena = ort.OrtArenaCfg({"max_mem": PROOF_MEMORY_BYTES, "arena_extend_strategy": as_requested})
    ort.create_and_register_allocator(memory, arena)
