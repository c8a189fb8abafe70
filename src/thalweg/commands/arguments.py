"""Values of options: what each may be, told by argparse before anything runs."""

from __future__ import annotations

import argparse
import math

__all__ = ["at_least_zero", "character", "part", "port", "positive", "positive_int", "seed"]


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not finite")
    return value


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def at_least_zero(text: str) -> float:
    """A number, 0 or above."""
    if (value := _number(text)) < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value


def positive(text: str) -> float:
    """A number above 0."""
    if (value := _number(text)) <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def part(text: str) -> float:
    """A number from 0 up to 1, without 1."""
    if not 0 <= (value := _number(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not in [0, 1)")
    return value


def port(text: str) -> int:
    """A port, or 0 for a free one."""
    if not 0 <= (value := _whole(text)) < 2**16:
        raise argparse.ArgumentTypeError(f"{text} is not a port: 0 to {2**16 - 1}")
    return value


def positive_int(text: str) -> int:
    """A whole number, 1 or above."""
    if (value := _whole(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return value


def seed(text: str) -> int:
    """A whole number, 0 or above: what starts NumPy's random numbers."""
    if (value := _whole(text)) < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value


def character(text: str) -> str:
    """One character, or ``tab``."""
    text = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(text) != 1 or text in '"\r\n':
        raise argparse.ArgumentTypeError("must be one character (or tab)")
    return text
