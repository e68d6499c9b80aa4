"""ONNX Runtime as segood uses it: on the CPU, with threads that leave the cores to others while they wait.

In: a graph. Out: a session. Imports no PyTorch, so that a monitor can do without.
"""

from __future__ import annotations

from typing import Any


def open_session(graph: str | bytes, threads: int) -> Any:
    """Open a graph.

    Args:
        graph: path of an ONNX file, or its content.
        threads: for the work within an operator.

    Raises:
        ImportError: ONNX Runtime is missing.
        Exception: ONNX Runtime has a class per status, none of them public.
    """
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised, they need not be printed as well
    # threads that wait busily take the cores that scores and segments need
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # without the second try on the same processor, of which it would print why there has to be one
    return runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"], enable_fallback=False)
