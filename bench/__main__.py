"""The command ``python -m bench``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bench import overhead


def main() -> int:
    """Run one benchmark; Markdown goes to the terminal, JSON to a file if asked."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", choices=["overhead"], help="what to measure")
    parser.add_argument("--rounds", type=int, default=40, help="rounds of pairs (default 40)")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    args = parser.parse_args()
    if args.rounds < 3:
        parser.error("--rounds must be at least 3")
    report, figures = overhead.measure(args.rounds)
    print(report)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
