"""What every layer is held to, by tests of layers."""

from __future__ import annotations

import pickle

import numpy as np

import thalweg as tw
from thalweg.tree import flatten, tree_map

close = np.testing.assert_allclose


def check_layer(layer, x, **options):
    """Differences agree, compiled is the same with one record, vmap is a loop."""

    def total(layer, x):
        return np.sum(np.sin(layer(x, **options)))

    leaves = len(flatten(layer)[0])
    if leaves:
        tw.check_grads(total, (layer, x))
    expected = tw.grad(total)(layer, x) if leaves else None
    compiled = tw.compile(tw.grad(total, argnums=0 if leaves else 1))
    for _ in range(2):
        found = compiled(layer, x)
    assert len(compiled.records) == 1
    if leaves:
        tree_map(lambda a, b: close(a, b, rtol=1e-9, atol=1e-12), found, expected)
        assert repr(found).startswith(type(layer).__name__)
        assert layer.n_parameters == sum(np.size(leaf) for leaf in flatten(layer)[0])
    close(tw.compile(lambda m, x: m(x, **options))(layer, x), layer(x, **options), rtol=1e-9)
    assert repr(pickle.loads(pickle.dumps(layer))) == repr(layer)


def check_rows(layer, x):
    """A batch is its rows: what stands in one does not reach another."""
    close(tw.vmap(layer)(x), layer(x), rtol=1e-12, atol=1e-14)
    close(np.stack([layer(row) for row in x]), layer(x), rtol=1e-12, atol=1e-14)
