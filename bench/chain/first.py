"""A new process that times a first gradient: ``python -m bench.chain.first MODULE:FUNCTION …``."""

from __future__ import annotations

import importlib
import os
import sys
import time

import numpy as np

from bench.chain import problem
from bench.workload import Setting

__all__ = ["main"]


def main(contender: str, operations: str, warm: str, out: str) -> None:
    """Import, maybe warm, time; write seconds and results to a file."""
    name, _, function = contender.partition(":")
    module = importlib.import_module(name)
    setting = Setting(int(os.environ["BENCH_THREADS"]), os.environ["BENCH_BACKEND"])
    chain = problem(int(operations))
    if warm == "warm":
        module.warm(setting)
    start = time.perf_counter()
    prepared = getattr(module, function)(chain, setting)
    prepared.call()
    seconds = time.perf_counter() - start
    value, gradient = prepared.results()
    np.savez(out, seconds=seconds, value=value, gradient=gradient)


if __name__ == "__main__":
    main(*sys.argv[1:])
