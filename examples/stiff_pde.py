"""A stiff reaction with diffusion: SciPy's Radau with a sparse Jacobian that nobody wrote.

Run: python examples/stiff_pde.py
"""

import numpy as np

import thalweg as tw

N = 60


def brusselator(t, y):
    """du/dt = 1 + u²v − 4u + u_xx/50, dv/dt = 3u − u²v + v_xx/50; u = 1, v = 3 at both ends."""
    u, v = y[::2], y[1::2]
    w = np.reshape(y, (N, 2))
    wide = np.concatenate([np.array([[1.0, 3.0]]), w, np.array([[1.0, 3.0]])])
    diffusion = (N + 1) ** 2 / 50 * (wide[:-2] - 2 * w + wide[2:])
    reaction = np.stack([1 + u**2 * v - 4 * u, 3 * u - u**2 * v], axis=1)
    return np.reshape(reaction + diffusion, (-1,))


x = np.arange(1, N + 1) / (N + 1)
start = np.stack([1 + np.sin(2 * np.pi * x), np.full(N, 3.0)], axis=1).ravel()
found = tw.scipy.solve_ivp(brusselator, (0, 10), start, method="Radau", rtol=1e-6)

jacobian = tw.jacobian(brusselator, argnums=1, form="sparse")(0.0, start)
print(f"Jacobian: {jacobian.shape[0]} x {jacobian.shape[1]}, {jacobian.nnz} non-zeros")
print(f"steps: {found.t.size - 1}, function values: {found.nfev}, Jacobians: {found.njev}")
u = found.y[::2]
print(f"u in the middle at t = 10: {u[N // 2, -1]:.4f}")
