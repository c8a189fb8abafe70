"""A nonlinear equation on a grid by Newton's method: the Jacobian is sparse and never filled in.

Bratu's problem, -Δu = 6 exp(u) on the unit square with u = 0 at its edge, on a grid.
"""

import numpy as np
from scipy.sparse.linalg import spsolve

import thalweg as tw

N = 40
H = 1 / (N + 1)


def residual(u):
    padded = np.pad(u, 1)
    neighbours = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return (4 * u - neighbours) / H**2 - 6 * np.exp(u)


u = np.zeros((N, N))
print(tw.jacobian(residual, form="operator")(u).structure.text)
jacobian = tw.jacobian(tw.compile(residual), form="sparse")
for step in range(7):
    r = residual(u)
    print(f"step {step}: largest residual {np.abs(r).max():.2e}")
    u = u - spsolve(jacobian(u), r.ravel()).reshape(u.shape)
print(f"largest u: {u.max():.4f}, {jacobian(u).nnz:,} of {N**4:,} entries stored")
assert np.abs(residual(u)).max() < 1e-8
