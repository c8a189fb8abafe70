"""C1: the contenders; each measurement is a new process (`bench.chain.first`)."""

from __future__ import annotations

import functools
import statistics
import subprocess
import sys
import tempfile
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np

from bench.chain import Chain
from bench.workload import Prepared, Setting, byte_code

__all__ = ["casadi", "jax", "jax_cached", "thalweg", "thalweg_cached", "torch_compile"]

_SLOW = 5.0  # seconds; what takes longer is measured once after another function


def _run(contender: str, operations: int, folder: str, modules: str, warm: bool = False) -> Any:
    """Seconds, value and gradient; compiled code is kept in one folder, byte code in the other."""
    out = str(Path(folder) / "out.npz")
    environment = {
        **byte_code(modules),
        "THALWEG_CACHE_DIR": f"{folder}/thalweg",
        "JAX_COMPILATION_CACHE_DIR": f"{folder}/jax",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor",
    }
    words = [contender, str(operations), "warm" if warm else "new", out]
    command = [sys.executable, "-m", "bench.chain.first", *words]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    with np.load(out) as found:
        return float(found["seconds"]), found["value"], found["gradient"]


def _prepared(peer: str, contender: str, problem: Chain, cached: bool) -> Prepared:
    if util.find_spec(peer) is None:
        raise ModuleNotFoundError(f"No module named {peer!r}", name=peer)
    # Within the driver's folder for this contender; the run that is checked fills them.
    modules, kept = tempfile.mkdtemp(), tempfile.mkdtemp()

    def run(warm: bool = False) -> Any:
        if cached:
            return _run(contender, problem.operations, kept, modules, warm)
        with tempfile.TemporaryDirectory() as folder:
            return _run(contender, problem.operations, folder, modules, warm)

    def facts() -> dict[str, Any]:
        seconds = [run(warm=True)[0]]
        if seconds[0] < _SLOW:
            seconds += [run(warm=True)[0] for _ in range(4)]
        return {"after another function, ms": f"{statistics.median(seconds) * 1e3:.1f}"}

    return Prepared(call=run, results=lambda: run()[1:], seconds=lambda: run()[0], facts=facts)


def _contender(peer: str, contender: str, cached: bool = False) -> Any:
    def make(problem: Chain, setting: Setting) -> Prepared:
        return _prepared(peer, contender, problem, cached)

    return make


_OURS = functools.partial(_contender, "thalweg", "bench.chain.with_thalweg:compiled")
_JAX = functools.partial(_contender, "jax", "bench.chain.with_jax:jit")
thalweg, thalweg_cached = _OURS(), _OURS(cached=True)
jax, jax_cached = _JAX(), _JAX(cached=True)
casadi = _contender("casadi", "bench.chain.with_casadi:mx")
torch_compile = _contender("torch", "bench.chain.with_torch:compiled")
