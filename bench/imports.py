"""I1: starting a process with the package, and how much disk it takes."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from importlib import metadata, util
from pathlib import Path
from typing import Any

from bench.workload import Prepared, Setting, Workload, byte_code

__all__ = ["WORKLOADS", "autograd", "casadi", "jax", "numpy", "thalweg", "torch"]

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def _start(module: str, cache: str) -> None:
    """A new process that imports the module, from byte code as an installed package has it."""
    command = [sys.executable, "-c", f"import {module}"]
    subprocess.run(command, check=True, capture_output=True, env=byte_code(cache))


def _needs(name: str, found: set[str]) -> set[str]:
    """The distribution and all that it requires (extras and other platforms left out)."""
    try:
        requirements = metadata.distribution(name).requires or []
    except metadata.PackageNotFoundError:
        return found
    found.add(name)
    for text in requirements:
        word = _NAME.match(text)
        wanted = word[0].lower() if word else ""
        if wanted and ";" not in text and wanted not in found:
            _needs(wanted, found)
    return found


def _megabytes(name: str) -> float:
    """Size of a distribution's files."""
    distribution = metadata.distribution(name)
    if name == "thalweg":  # may be installed editable: then its files lie elsewhere
        spec = util.find_spec("thalweg")
        origin = spec.origin if spec else None
        files = list(Path(str(origin)).parent.rglob("*.py"))
    else:
        files = [Path(str(distribution.locate_file(f))) for f in distribution.files or ()]
    return sum(path.stat().st_size for path in files if path.is_file()) / 1e6


def _prepared(name: str) -> Prepared:
    if util.find_spec(name) is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    # The folder lives as long as the process of the contender; TMPDIR is the driver's.
    cache = tempfile.mkdtemp()

    def facts() -> dict[str, Any]:
        whole = sum(_megabytes(needed) for needed in _needs(name, set()))
        return {"own files, MB": round(_megabytes(name), 1), "with what it needs, MB": round(whole)}

    return Prepared(lambda: _start(name, cache), list, facts=facts)


def numpy(problem: None, setting: Setting) -> Prepared:
    """The floor."""
    return _prepared("numpy")


def thalweg(problem: None, setting: Setting) -> Prepared:
    """Ours."""
    return _prepared("thalweg")


def autograd(problem: None, setting: Setting) -> Prepared:
    """autograd."""
    return _prepared("autograd")


def casadi(problem: None, setting: Setting) -> Prepared:
    """CasADi."""
    return _prepared("casadi")


def jax(problem: None, setting: Setting) -> Prepared:
    """JAX."""
    return _prepared("jax")


def torch(problem: None, setting: Setting) -> Prepared:
    """PyTorch."""
    return _prepared("torch")


WORKLOADS = [
    Workload(
        name="I1",
        title="a process that imports the package; what is installed",
        group="overhead",
        problem=lambda: None,
        contenders={
            "thalweg": "bench.imports:thalweg",
            "NumPy": "bench.imports:numpy",
            "autograd": "bench.imports:autograd",
            "CasADi": "bench.imports:casadi",
            "jax": "bench.imports:jax",
            "torch": "bench.imports:torch",
        },
        reference=None,
        bar="NumPy + 60 ms",
        threads=(1,),
        scale=1e3,
        unit="ms",
    )
]
