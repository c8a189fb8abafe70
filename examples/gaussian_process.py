"""The length scale of a Gaussian process, by descent on its exact log-likelihood (Cholesky)."""

import numpy as np

import thalweg as tw

rng = np.random.default_rng(1)
t = np.sort(rng.uniform(0, 6, 30))
y = np.sin(t) + 0.1 * rng.normal(size=30)


def negative_log_likelihood(theta):
    length, noise = np.exp(theta)
    K = np.exp(-0.5 * ((t[:, None] - t) / length) ** 2) + noise**2 * np.eye(len(t))
    L = np.linalg.cholesky(K)
    z = np.linalg.solve(L, y)
    return 0.5 * np.sum(z * z) + np.sum(np.log(np.diag(L)))


theta = np.log([0.3, 0.5])
for _ in range(25):
    g = tw.grad(negative_log_likelihood)(theta)
    H = tw.hessian(negative_log_likelihood)(theta)
    eigenvalues, Q = np.linalg.eigh(H)  # |H|: downhill where the function is not convex
    step = Q @ ((Q.T @ g) / np.maximum(np.abs(eigenvalues), 1.0))
    theta = theta - np.clip(step, -0.5, 0.5)
length, noise = np.exp(theta)
print(f"length scale {length:.3f}, noise {noise:.3f}")
assert np.linalg.norm(tw.grad(negative_log_likelihood)(theta)) < 1e-6
