"""Tables with labels: read from CSV with every fault at its line, split and scaled."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.config import config
from thalweg.errors import DataError

__all__ = ["Dataset", "read_csv", "split"]

_MAX_CLASSES = 1_000
# More numbers than this, with fewer rows for each than that, are measurements.
_FEW_CLASSES = 20
_FEW_ROWS = 5


@dataclass(frozen=True)
class Dataset:
    """Examples in rows, one label each.

    Attributes
    ----------
    X : array (examples, features)
    y : integer array (examples,)
        Positions in `classes`.
    features : tuple of str
    classes : tuple of str
        Sorted: as numbers where all are numbers.
    name : str
    """

    X: np.ndarray[Any, np.dtype[np.float64]]
    y: np.ndarray[Any, np.dtype[np.intp]]
    features: tuple[str, ...]
    classes: tuple[str, ...]
    name: str

    def __len__(self) -> int:
        return len(self.y)


def read_csv(path: str | Path, target: str, delimiter: str = ",") -> Dataset:
    """Read a CSV file with a header line; all columns but `target` must be numbers.

    Raises
    ------
    DataError
        Names the line: not a number, NaN, a wrong number of fields, one class only, ….
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # -sig: a BOM may lead
            return _read(path, csv.reader(file, delimiter=delimiter, strict=True), target)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not a text file in UTF-8: {error.reason}. Save it as CSV in UTF-8."
        ) from error


def _rows(path: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """(line number, fields) of the lines that are not empty."""
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: {error}") from error
        if fields is None:
            return
        if any(field.strip() for field in fields):
            yield reader.line_num, [field.strip() for field in fields]


def _read(path: Path, reader: Any, target: str) -> Dataset:
    rows = _rows(path, reader)
    _, header = next(rows, (0, []))
    if not header:
        raise DataError(f"{path} is empty: the first line must name the columns")
    position = _check_header(path, header, target)
    features = tuple(name for i, name in enumerate(header) if i != position)
    cells: list[list[float]] = []
    labels: list[str] = []
    for line, fields in rows:
        where = f"{path}, line {line}"
        if len(fields) != len(header):
            raise DataError(f"{where}: {len(fields)} fields, but the header has {len(header)}")
        if not fields[position]:
            raise DataError(f"{where}: no {target!r} given")
        labels.append(fields.pop(position))
        cells.append([_number(where, n, text) for n, text in zip(features, fields, strict=True)])
        if 8 * len(cells) * len(features) > config.dense_limit:
            raise DataError(
                f"{where}: more than {config.dense_limit:,} bytes of numbers "
                "(thalweg.config.dense_limit); train on a part of the file"
            )
    if not cells:
        raise DataError(f"{path} has a header but no rows")
    classes = _classes(path, labels, target)
    place = {label: i for i, label in enumerate(classes)}
    y = np.array([place[label] for label in labels])
    return Dataset(np.array(cells), y, features, classes, path.name)


def _check_header(path: Path, header: list[str], target: str) -> int:
    """The target's position."""
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise DataError(f"{path}, line 1: two columns are called {twice[0]!r}")
    if target not in header:
        hint = " The first line must name the columns." if all(map(_is_number, header)) else ""
        if len(header) == 1 and any(mark in header[0] for mark in ",;\t|"):
            hint = " Is that one column? --delimiter says what stands between fields."
        raise DataError(f"{path} has no column {target!r}; it has {', '.join(header)}.{hint}")
    if len(header) < 2:
        raise DataError(f"{path} has no column besides {target!r}")
    return header.index(target)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(where: str, column: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        what = "is empty" if not text else f"has {text[:40]!r}, which is not a number"
        raise DataError(f"{where}: column {column!r} {what}") from None
    if not math.isfinite(number):
        raise DataError(f"{where}: column {column!r} has {text!r}; every entry must be finite")
    return number


def _classes(path: Path, labels: list[str], target: str) -> tuple[str, ...]:
    names = set(labels)
    if len(names) == 1:
        raise DataError(
            f"{path}: every row has {target} = {labels[0]!r}; a classifier needs two classes"
        )
    if len(names) > _MAX_CLASSES or len(names) == len(labels) > 2:
        raise DataError(
            f"{path}: column {target!r} has {len(names):,} different values in {len(labels):,} "
            "rows; is it a class label?"
        )
    numeric = all(map(_is_number, names))
    if numeric and len(names) > _FEW_CLASSES and len(labels) < _FEW_ROWS * len(names):
        raise DataError(
            f"{path}: column {target!r} has {len(names):,} different numbers in {len(labels):,} "
            "rows: a quantity, not a class label.\n"
            "  A classifier needs classes: put the numbers into a few groups first (low, high)."
        )
    return tuple(sorted(names, key=lambda name: (float(name), name) if numeric else (0.0, name)))


def split(
    data: Dataset, fraction: float, seed: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Rows to train on and rows to hold out: `fraction` of every class, at random.

    At least one row of each class stays in the training part.

    Raises
    ------
    DataError
        If `fraction` is not in [0, 1), or nothing would be held out.
    """
    if not 0 <= fraction < 1:
        raise DataError(f"the held-out fraction must be at least 0 and below 1, not {fraction}")
    rng = np.random.default_rng(seed)
    train, held_out = [], []
    for k in range(len(data.classes)):
        rows = rng.permutation(np.flatnonzero(data.y == k))
        count = min(round(fraction * len(rows)), len(rows) - 1)
        held_out.append(rows[:count])
        train.append(rows[count:])
    test = np.sort(np.concatenate(held_out))
    if fraction and not len(test):
        raise DataError(
            f"{data.name}: too few rows ({len(data)}) to hold out {fraction:.0%} of every class; "
            "use --test-fraction 0"
        )
    return np.sort(np.concatenate(train)), test
