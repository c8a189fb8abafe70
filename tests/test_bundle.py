"""Bundle adjustment: the sparse Jacobian, and Levenberg–Marquardt steps made of it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import thalweg as tw
from tests.problems.bundle import read, synthetic


def levenberg_marquardt(residuals, z, steps):
    """The sums of squares after each step; scaled damping, systems by LSMR."""
    jacobian = tw.jacobian(residuals, form="sparse")
    r, damping = residuals(z), 1e-3
    costs = [float(r @ r)]
    for _ in range(steps):
        J = jacobian(z)
        scale = 1 / np.maximum(np.sqrt(J.power(2).sum(axis=0)), 1e-12)
        scaled = J @ sparse.diags_array(scale)
        step = sparse.linalg.lsmr(scaled, -r, damp=np.sqrt(damping), maxiter=30)[0] * scale
        trial = residuals(z + step)
        if trial @ trial < costs[-1]:
            z, r, damping = z + step, trial, damping / 3
        else:
            damping *= 4
        costs.append(float(r @ r))
    return costs


def test_a_small_problem():
    bundle = synthetic(3, 12, 36)
    rng = np.random.default_rng(1)
    z = bundle.start * (1 + 0.01 * rng.standard_normal(bundle.start.size))
    found = tw.jacobian(bundle.residuals, form="sparse")(z)
    np.testing.assert_allclose(found.toarray(), tw.jacobian(bundle.residuals)(z), atol=1e-10)
    assert found.nnz <= 15 * 72 + 36
    costs = levenberg_marquardt(bundle.residuals, z, 20)
    assert costs[-1] < 1e-4 * costs[0]
    solved = tw.scipy.least_squares(bundle.residuals, z, x_scale="jac")
    assert sparse.issparse(solved.jac)
    assert 2 * solved.cost < 1e-6 * costs[0]


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("THALWEG_ADBENCH"), reason="THALWEG_ADBENCH names the folder of its data"
)
def test_ba1_of_adbench():
    folder = Path(os.environ["THALWEG_ADBENCH"])
    bundle = read(folder / "ba1_n49_m7776_p31843.txt")
    J = tw.jacobian(bundle.residuals, form="sparse")(bundle.start)
    p = len(bundle.features)
    assert J.shape == (3 * p, bundle.start.size) == (95529, 55710)

    # The reference has observation 0; camera, point, weight and feature are the same for all.
    # Of its 15 entries a row one is zero for good: each row has one of the principal point's.
    n, m, k = bundle.cameras, bundle.points, np.arange(p)
    wanted, lines = sparse.csr_array(J.shape), 0
    for line in (folder / "ba1_reference.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or len(line.split()) != 3:
            continue
        row, column, value = line.split()
        rows = int(row) + (2 * k if int(row) < 2 else k)
        block = (11 * (k % n), 3 * (k % m), k)[
            np.searchsorted([11 * n, 11 * n + 3 * m], int(column), "right")
        ]
        entries = (np.full(p, float(value)), (rows, int(column) + block))
        wanted = wanted + sparse.csr_array(entries, J.shape)
        lines += 1
    assert lines == 31
    assert J.nnz == 14 * 2 * p + p
    assert abs(J - wanted).max() <= 1e-10
    errors = abs(J - wanted).tocoo()
    sizes = abs(wanted).tocsr()[errors.row, errors.col]
    assert np.all(errors.data <= 1e-10 * sizes)

    rng = np.random.default_rng(0)
    z = bundle.start * (1 + 1e-3 * rng.standard_normal(bundle.start.size))
    costs = levenberg_marquardt(bundle.residuals, z, 20)
    assert costs[-1] < 1e-2 * costs[0]
