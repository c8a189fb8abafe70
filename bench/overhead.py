"""What the engine itself costs: eager overhead an operation (O1), import and size (I1)."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import thalweg as tw
from bench.pairs import Figure, in_pairs, peer, ratio, summary, version

__all__ = ["measure"]

_STEPS = 50
_OPERATIONS = 4 * _STEPS + 1


def _program(x: Any, a: Any, b: Any) -> Any:
    """201 cheap operations in a chain; 8 numbers, so that the arithmetic itself costs nothing."""
    y = x
    for _ in range(_STEPS):
        y = y * a
        y = y + b
        y = y - x
        y = -y
    return y.sum()


def _contenders() -> dict[str, Callable[[], Any]]:
    x, a, b = np.linspace(0.1, 0.8, 8), np.full(8, 0.9), np.full(8, 0.1)
    gradient = tw.grad(_program)
    found: dict[str, Callable[[], Any]] = {
        "thalweg": lambda: gradient(x, a, b),
        "NumPy, forward only": lambda: _program(x, a, b),
    }
    expected = gradient(x, a, b)
    torch = peer("torch")
    if torch is not None:
        torch.set_num_threads(1)
        leaf = torch.tensor(x, requires_grad=True)
        ta, tb = torch.tensor(a), torch.tensor(b)

        def torch_gradient() -> Any:
            leaf.grad = None
            _program(leaf, ta, tb).backward()
            return leaf.grad

        np.testing.assert_allclose(torch_gradient().numpy(), expected, rtol=1e-12)
        found["torch"] = torch_gradient
    autograd = peer("autograd")
    if autograd is not None:
        other = autograd.grad(_program)
        np.testing.assert_allclose(other(x, a, b), expected, rtol=1e-12)
        found["autograd"] = lambda: other(x, a, b)
    return found


def _import_call(module: str, cache: str) -> Callable[[], Any]:
    """A new process that imports the module, from byte code as an installed package has it."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", f"import {module}"]
    return lambda: subprocess.run(command, check=True, capture_output=True, env=environment)


def _installed_megabytes(name: str) -> float:
    """Size of the package's own files (without what it depends on)."""
    if name == "thalweg":  # may be installed editable: then its files lie elsewhere
        files = list(Path(tw.__file__).parent.rglob("*.py"))
        return sum(path.stat().st_size for path in files) / 1e6
    distribution = metadata.distribution(name)
    files = [Path(str(distribution.locate_file(f))) for f in distribution.files or ()]
    return sum(path.stat().st_size for path in files if path.is_file()) / 1e6


def _shown(figure: Figure, scale: float, digits: int) -> str:
    median, low, high = (f"{value * scale:.{digits}f}" for value in figure)
    return f"{median} ({low}-{high})"


def measure(rounds: int) -> tuple[str, dict[str, Any]]:
    """Markdown and all figures."""
    seconds = in_pairs(_contenders(), rounds, inner=3)
    lines = [
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"NumPy {np.__version__}; medians (quartiles) of {rounds} rounds, all contenders in each",
        "",
        f"O1: eager cost of one of {_OPERATIONS} operations, forward and backward",
        "",
        "| | µs an operation | times our cost |",
        "|---|---|---|",
    ]
    figures: dict[str, Any] = {"rounds": rounds, "operations": _OPERATIONS, "O1": {}, "I1": {}}
    for name, sample in seconds.items():
        cost, times = summary(sample), ratio(seconds["thalweg"], sample)
        label = name if name.startswith(("NumPy", "thalweg")) else f"{name} {version(name)}"
        lines.append(f"| {label} | {_shown(cost, 1e6 / _OPERATIONS, 2)} | {_shown(times, 1, 2)} |")
        figures["O1"][label] = {
            "us_per_operation": _scaled(cost, 1e6 / _OPERATIONS),
            "ratio": times,
        }
    modules = ["numpy", "thalweg", *(name for name in ("autograd", "torch") if name in seconds)]
    with tempfile.TemporaryDirectory() as cache:
        calls = {name: _import_call(name, cache) for name in modules}
        starts = in_pairs(calls, max(5, rounds // 4))
    lines += [
        "",
        "I1: a process that imports the package",
        "",
        "| | ms | more than NumPy, ms | own files, MB |",
        "|---|---|---|---|",
    ]
    for name, sample in starts.items():
        more = summary([s - n for s, n in zip(sample, starts["numpy"], strict=True)])
        size = _installed_megabytes(name)
        whole = summary(sample)
        lines.append(f"| {name} | {_shown(whole, 1e3, 0)} | {_shown(more, 1e3, 0)} | {size:.1f} |")
        figures["I1"][name] = {
            "ms": _scaled(whole, 1e3),
            "more_than_numpy_ms": _scaled(more, 1e3),
            "megabytes": size,
        }
    return "\n".join(lines), figures


def _scaled(figure: Figure, scale: float) -> list[float]:
    return [value * scale for value in figure]
