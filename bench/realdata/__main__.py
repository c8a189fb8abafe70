"""The command ``python -m bench.realdata``: estimators on real data, mean ± spread over seeds.

Digits, breast cancer, diabetes with intervals, Bishop's inverse problem, and scikit-learn's checks,
each beside scikit-learn's or torch's own in the same run.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from bench.realdata.bishop import bishop, optimum, picture
from bench.realdata.checks import checks
from bench.realdata.tables import cancer, diabetes, digits
from bench.report import machine
from bench.run import say

_TASKS: dict[str, Callable[[int], dict[str, dict[str, float]]]] = {
    "digits": digits,
    "cancer": cancer,
    "diabetes": diabetes,
    "bishop": bishop,
    "checks": checks,
}
_DIGITS = {"seconds": 2, "mean width": 1, "NLL": 3}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.realdata", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(_TASKS)}")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write every seed's figures to this file")
    parser.add_argument("--picture", type=Path, help="only draw p(x|t) of Bishop's problem (PNG)")
    return parser


def _cell(name: str, values: list[float], whole: bool) -> str:
    if whole:
        return f"{values[0]:.0f}"
    places = _DIGITS.get(name, 3)
    return f"{np.mean(values):.{places}f} ± {np.std(values):.{places}f}"


def _table(runs: list[dict[str, dict[str, float]]], whole: bool) -> str:
    columns = list(dict.fromkeys(name for figures in runs[0].values() for name in figures))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (1 + len(columns)) + "|"]
    for contender, figures in runs[0].items():
        cells = [
            _cell(c, [run[contender][c] for run in runs], whole) if c in figures else ""
            for c in columns
        ]
        lines.append(f"| {contender} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run what was asked for; Markdown on the standard output, progress on the standard error."""
    parser = _parser()
    args = parser.parse_args()
    unknown = set(args.names) - set(_TASKS)
    if unknown or args.seeds < 1:
        parser.error(f"names are {', '.join(_TASKS)}; --seeds is 1 or more")
    if args.picture:
        picture(args.picture)
        return
    facts = machine()
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    print(f"{facts['processor']}, {facts['processors']} processors; {versions}.")
    results = {}
    for name in args.names or _TASKS:
        runs = []
        for seed in range(1 if name == "checks" else args.seeds):
            say(f"{name}, seed {seed}")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                runs.append(_TASKS[name](seed))
        results[name] = runs
        print(f"\n### {name}\n\n{_table(runs, name == 'checks')}", flush=True)
        if name == "bishop":
            print(f"\nThe optimum is {optimum():.4f}.", flush=True)
    if args.json:
        text = json.dumps({"machine": facts, "results": results}, indent=1)
        args.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
