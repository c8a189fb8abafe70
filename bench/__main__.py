"""The command ``python -m bench``: Thalweg beside its peers, correctness first, times in pairs."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
from pathlib import Path

from bench import plot
from bench.catalogue import WORKLOADS
from bench.report import header, machine, section
from bench.run import Options, measure, say
from bench.workload import named

# What `python -m bench` alone leaves out: these take longer and answer another question.
_APART = ("growth", "problems", "mnist", "density")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    groups = ", ".join(dict.fromkeys(w.group for w in WORKLOADS))
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"workloads (E1, T1, T1-adam, …) or groups ({groups}); default: all but "
        + ", ".join(_APART),
    )
    parser.add_argument("--list", action="store_true", help="list the workloads and stop")
    parser.add_argument("--rounds", type=int, default=40, help="rounds of pairs (default 40)")
    parser.add_argument(
        "--threads", type=int, nargs="+", choices=[1, 2], default=[1, 2], help="default: 1 2"
    )
    parser.add_argument("--check", action="store_true", help="correctness only, no timing")
    parser.add_argument("--only", nargs="+", default=[], help="only these contenders")
    parser.add_argument(
        "--backend", choices=["native", "numpy"], default="native", help="of tw.compile"
    )
    parser.add_argument(
        "--timeout", type=float, default=300, help="seconds to wait for an answer (default 300)"
    )
    parser.add_argument(
        "--budget",
        type=float,
        default=60,
        help="seconds of turns after which a contender that takes long for each stops (default 60)",
    )
    parser.add_argument(
        "--python",
        nargs="+",
        default=[],
        metavar="CONTENDER=PATH",
        help="run a contender under another interpreter (PyTensor=/path/to/venv/bin/python)",
    )
    parser.add_argument("--json", type=Path, help="also write all that was measured to this file")
    parser.add_argument("--plot", type=Path, help="draw growth, problems into this file")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; Markdown on the standard output, progress on the standard error."""
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.rounds < 3:
        parser.error("--rounds must be at least 3")
    chosen = [w for w in WORKLOADS if w.group not in _APART]
    if args.names:
        try:
            chosen = named(WORKLOADS, args.names)
        except KeyError as error:
            parser.error(f"no workload and no group is called {error}; --list shows them")
    if args.plot and not any(w.growth for w in chosen):
        parser.error("--plot draws curves: python -m bench growth --plot FILE")
    if args.plot and importlib.util.find_spec("matplotlib") is None:
        parser.error("--plot needs matplotlib: pip install -r bench/requirements.txt")
    if args.list:
        for workload in chosen:
            print(f"{workload.name:22} {workload.group:12} {workload.title}")
        return 0
    options = Options(
        args.rounds,
        args.backend,
        tuple(args.only),
        args.check,
        args.timeout,
        args.budget,
        dict(text.split("=", 1) for text in args.python),
    )
    facts = machine()
    print(header(facts, args.rounds, args.backend), flush=True)
    results = []
    runs = [(w, t) for w in chosen for t in sorted(set(args.threads) & set(w.threads))]
    for place, (workload, threads) in enumerate(runs, 1):
        say(f"[{place}/{len(runs)}]")
        results.append(measure(workload, threads, options))
        print("\n" + section(results[-1]), flush=True)
        if args.json:  # after each: what was measured stays when a later one is interrupted
            whole = {"machine": facts, "rounds": args.rounds, "backend": args.backend}
            text = json.dumps({**whole, "results": results}, indent=1)
            args.json.write_text(text + "\n", encoding="utf-8")
    if growth := plot.exponents(results):
        print("\n" + growth)
    if args.plot:
        matplotlib = importlib.import_module("matplotlib")
        matplotlib.use("Agg")
        plot.draw(results, args.plot, importlib.import_module("matplotlib.pyplot"))
    states = [e["state"] for r in results for e in r["contenders"].values()]
    return 1 if "wrong" in states or "failed" in states else 0


if __name__ == "__main__":
    sys.exit(main())
