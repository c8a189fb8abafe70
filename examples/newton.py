"""Newton's method on Rosenbrock's function, with the exact Hessian."""

import numpy as np

import thalweg as tw


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


x = np.array([-1.2, 1.0])
gradient, hessian = tw.grad(rosenbrock), tw.hessian(rosenbrock)
for step in range(7):
    print(f"step {step}: f = {rosenbrock(x):.3e} at {x}")
    x = x - np.linalg.solve(hessian(x), gradient(x))
assert np.allclose(x, 1.0, atol=1e-9)
