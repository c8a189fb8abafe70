"""E1–E6 in C: one fused loop, compiled here, where there is a compiler."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.elementwise import Problem
from bench.workload import Prepared, Setting, Skip

_SOURCE = Path(__file__).with_name("fused.c")
_FLAGS = "-O3 -march=native -ffast-math -fopenmp -shared -fPIC -std=c11".split()
# gcc prefers 256-bit vectors on processors that have 512.
_WIDE = ["-mprefer-vector-width=512"]


def _library() -> ctypes.CDLL:
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise Skip("no C compiler")
    target = Path(tempfile.mkdtemp()) / "fused.so"
    command = [compiler, *_FLAGS, *_WIDE, str(_SOURCE), "-o", str(target), "-lmvec", "-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Skip(f"the C compiler refuses: {done.stderr.strip().splitlines()[0]}")
    return ctypes.CDLL(str(target))


def fused(problem: Problem, setting: Setting) -> Prepared:
    """The gradient's memory is allocated once and reused."""
    x = problem.x
    function = getattr(_library(), f"{problem.function}_{x.dtype}")
    function.restype = ctypes.c_double
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ssize_t]
    gradient = np.empty_like(x)
    pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in (x, gradient)]  # these keep the arrays
    arguments = (*pointers, x.size)

    def results() -> Any:
        return function(*arguments), gradient

    return Prepared(lambda: function(*arguments), results)
