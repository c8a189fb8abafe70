"""The driver: starts a process for each contender, gives them turns in pairs, gathers figures."""

from __future__ import annotations

import json
import math
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.pairs import in_pairs, ratio, summary
from bench.workload import Workload

__all__ = ["OURS", "Options", "measure"]

OURS = "thalweg"
_ROOT = Path(__file__).resolve().parents[1]
_TURN = 0.02  # seconds that a turn lasts at least, where one call is shorter
_PAUSE = 0.003  # between turns: the threads of the one before go to sleep


@dataclass(frozen=True)
class Options:
    """What the command line says about a run."""

    rounds: int
    backend: str
    only: tuple[str, ...]  # names of contenders; empty: all
    check: bool  # correctness only, no timing
    timeout: float  # seconds a contender may take to answer
    budget: float  # seconds of turns after which a slow contender stops
    pythons: Mapping[str, str]  # contender → the interpreter it runs under, where not this one


def say(text: str) -> None:
    """Progress, for who waits."""
    print(text, file=sys.stderr, flush=True)


def _environment(threads: int, backend: str, folder: str) -> dict[str, str]:
    """Equal threads for all; every cache of compiled code new and empty."""
    count = str(threads)
    return {
        **os.environ,
        "BENCH_THREADS": count,
        "BENCH_BACKEND": backend,
        "OMP_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "NUMBA_NUM_THREADS": count,
        "THALWEG_NUM_THREADS": count,
        "THALWEG_CACHE_DIR": f"{folder}/thalweg",
        "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor",
        "JAX_PLATFORMS": "cpu",
        "PYTENSOR_FLAGS": f"base_compiledir={folder}/pytensor,floatX=float32",
        "TMPDIR": folder,
    }


class _Remote:
    """A contender's process."""

    def __init__(
        self, workload: Workload, name: str, threads: int, options: Options, folder: str
    ) -> None:
        python = options.pythons.get(name, sys.executable)
        command = [python, "-m", "bench.worker", workload.name, name]
        self._timeout = options.timeout
        self._once = workload.once
        self._inner, self._warm = 1, 0
        self._log = Path(folder, "stderr")
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=_ROOT,
                env=_environment(threads, options.backend, folder),
            )

    def answer(self) -> dict[str, Any]:
        """Its next message."""
        stream = self._process.stdout
        assert stream is not None
        if not select.select([stream], [], [], self._timeout)[0]:
            self._process.kill()
            raise RuntimeError(f"no answer within {self._timeout:g} s")
        line = stream.readline()
        if not line:
            last = self._log.read_text(errors="replace").strip().splitlines()[-1:]
            raise RuntimeError(f"ended with code {self._process.wait()}: {' '.join(last)}")
        return json.loads(line)

    def ask(self, **order: Any) -> dict[str, Any]:
        stream = self._process.stdin
        assert stream is not None
        try:
            stream.write(json.dumps(order).encode() + b"\n")
            stream.flush()
        except BrokenPipeError:
            pass  # answer() says how it ended
        return self.answer()

    def calibrate(self) -> None:
        """As many calls a turn as make it long enough to be measured."""
        if self._once:
            return
        seconds = max(self.ask(do="turn", warm=1, inner=1)["seconds"], 1e-9)
        if seconds < _TURN:
            seconds = max(self.ask(do="turn", warm=1, inner=10)["seconds"], 1e-9)
        self._inner = max(1, min(100_000, math.ceil(_TURN / seconds)))
        self._warm = 0 if seconds > 0.2 else max(1, self._inner // 4)

    def turn(self) -> float:
        """Seconds of one call."""
        if not self._once:
            time.sleep(_PAUSE)
        return self.ask(do="turn", warm=self._warm, inner=self._inner)["seconds"]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def _start(remote: _Remote) -> dict[str, Any]:
    try:
        entry = remote.answer()
        if entry["state"] == "ready":
            remote.calibrate()
    except RuntimeError as error:
        return {"state": "failed", "why": str(error)}
    return entry


def measure(workload: Workload, threads: int, options: Options) -> dict[str, Any]:
    """All that was found about one workload with one number of threads; plain data."""
    say(f"{workload.name}, {threads} thread{'s' * (threads > 1)}: {workload.title}")
    entries: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        remotes: dict[str, _Remote] = {}
        for name in workload.contenders:
            if options.only and name not in options.only:
                continue
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)
            )
            remote = _Remote(workload, name, threads, options, folder)
            stack.callback(remote.close)
            began = time.perf_counter()
            entries[name] = entry = _start(remote)
            if entry["state"] == "ready":
                remotes[name] = remote
            took = time.perf_counter() - began
            detail = entry.get("why") or _error(entry)
            say(f"  {name}: {entry['state']}{detail and f' ({detail})'}, {took:.1f} s")
        if not options.check:
            _time(workload, remotes, entries, options)
    return {
        "workload": workload.name,
        "title": workload.title,
        "group": workload.group,
        "bar": workload.bar,
        "threads": threads,
        "scale": workload.scale,
        "unit": workload.unit,
        "tolerance": workload.tolerance,
        "growth": workload.growth,
        "contenders": entries,
    }


def _error(entry: dict[str, Any]) -> str:
    deviation = entry.get("deviation")
    return "" if deviation is None else f"deviation {deviation:.1e}"


def _time(
    workload: Workload,
    remotes: dict[str, _Remote],
    entries: dict[str, dict[str, Any]],
    options: Options,
) -> None:
    """The rounds; adds figures to the entries."""
    began = time.perf_counter()

    def progress(done: int) -> None:
        if done == rounds or time.perf_counter() - progress.last > 10:
            progress.last = time.perf_counter()
            say(f"  round {done} of {rounds}, {progress.last - began:.0f} s")

    progress.last = began
    rounds = options.rounds
    if workload.rounds is not None:
        rounds = workload.rounds if workload.once else min(rounds, workload.rounds)

    def guarded(name: str, remote: _Remote) -> Any:
        def turn() -> float:
            try:
                return remote.turn()
            except RuntimeError as error:
                entries[name] = {"state": "failed", "why": str(error)}
                say(f"  {name}: {error}")
                raise

        return turn

    turns = {name: guarded(name, remote) for name, remote in remotes.items()}
    # Epochs of one training belong together: all of them, however long they take.
    budget = float("inf") if workload.once else options.budget
    peers = {} if workload.peer_rounds is None else dict.fromkeys(turns, workload.peer_rounds)
    peers.pop(OURS, None)
    seconds = in_pairs(turns, rounds, budget, progress, peers)
    ours = seconds.get(OURS, [])
    for name, sample in seconds.items():
        if not sample:
            continue
        entry = entries[name]
        entry.update(remotes[name].ask(do="facts"))
        entry["state"] = "measured"
        entry["seconds"] = sample
        entry["figure"] = summary(sample)
        if ours:
            entry["ratio"] = ratio(ours, sample)
