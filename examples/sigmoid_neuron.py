"""Every number of a sigmoid neuron, forward and backward, and the nodes that could be one."""

import numpy as np

import thalweg as tw


def neuron(w, x):
    s = w[0] * x[0] + w[1] * x[1] + w[2]
    return 1 / (1 + np.exp(-s))


trace = tw.trace(neuron, np.array([2.0, -3.0, -3.0]), np.array([-1.0, -2.0]))
print(trace)
assert abs(trace["s"].upstream - 0.19661193324148185) < 1e-12
