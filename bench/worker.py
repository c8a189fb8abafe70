"""One contender in a process of its own: ``python -m bench.worker WORKLOAD CONTENDER``.

A peer's spinning threads, its memory and its settings then touch nobody else, while the driver
(`bench.run`) gives every contender one turn a round. It speaks JSON, one line a message, over the
standard output as it was at the start; what a peer prints goes to the standard error.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import sys
import time
import traceback
from typing import Any, TextIO

from bench.catalogue import WORKLOADS
from bench.workload import Prepared, Setting, Skip, Workload, deviation

__all__ = ["main"]


def _pin(threads: int) -> None:
    """As many processors as threads: the one setting that every peer obeys."""
    if hasattr(os, "sched_setaffinity"):
        there = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, there[-threads:])


def _prepare(workload: Workload, contender: str, setting: Setting) -> tuple[Prepared, dict]:
    module, _, function = workload.contenders[contender].partition(":")
    make = getattr(importlib.import_module(module), function)
    problem = workload.problem()
    start = time.perf_counter()
    prepared = make(problem, setting)
    if prepared.seconds is None and not workload.once:
        prepared.call()
        if prepared.finish is not None:
            prepared.finish()
    first = None if prepared.seconds is not None else time.perf_counter() - start
    if workload.reference is None:
        return prepared, {"state": "ready", "first": None, "deviation": None}
    error = deviation(prepared.results(), workload.reference(problem))
    if not error <= workload.tolerance:
        return prepared, {"state": "wrong", "deviation": error}
    return prepared, {"state": "ready", "first": first, "deviation": error}


def _turn(prepared: Prepared, warm: int, inner: int) -> float:
    """Seconds a call."""
    if prepared.seconds is not None:
        return prepared.seconds()
    call, finish = prepared.call, prepared.finish
    if prepared.reset is not None:
        prepared.reset()
    for _ in range(warm):
        call()
    if finish is not None:
        finish()
    start = time.perf_counter()
    for _ in itertools.repeat(None, inner):
        call()
    if finish is not None:
        finish()
    return (time.perf_counter() - start) / inner


def _serve(prepared: Prepared, out: TextIO) -> None:
    for line in sys.stdin:
        order = json.loads(line)
        answer: dict[str, Any]
        if order["do"] == "turn":
            answer = {"seconds": _turn(prepared, order["warm"], order["inner"])}
        else:
            answer = {"facts": prepared.facts()}
        print(json.dumps(answer), file=out, flush=True)


def main(workload: str, contender: str) -> None:
    """Prepare, say how it went, and serve turns until the driver closes the input."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    setting = Setting(int(os.environ["BENCH_THREADS"]), os.environ["BENCH_BACKEND"])
    _pin(setting.threads)
    chosen = next(w for w in WORKLOADS if w.name == workload)
    prepared = None
    try:
        prepared, message = _prepare(chosen, contender, setting)
    except Skip as reason:
        message = {"state": "left out", "why": str(reason)}
    except ModuleNotFoundError as error:
        message = {"state": "left out", "why": f"{error.name} is not installed"}
    except Exception as error:
        traceback.print_exc()
        text = str(error).strip() or "no message"
        message = {"state": "failed", "why": f"{type(error).__name__}: {text.splitlines()[0]}"}
    print(json.dumps(message), file=out, flush=True)
    if prepared is not None and message["state"] == "ready":
        _serve(prepared, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
