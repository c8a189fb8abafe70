"""Layers against plain loops, the lecture's numbers, and differences."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import scipy.special
import scipy.stats

import thalweg as tw
from tests.layer_laws import check_layer, check_rows
from thalweg.errors import DtypeError, ShapeError, UserError
from thalweg.nn import (
    MLP,
    Affine,
    BatchNorm,
    Dropout,
    Embedding,
    GRUCell,
    LayerNorm,
    Residual,
    Sequential,
    activations,
    initialisers,
)
from thalweg.nn.losses import mse
from thalweg.tree import flatten, tree_map

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 3))
close = np.testing.assert_allclose


def loop_affine(W, b, x):
    """Q = X W + b, one number at a time."""
    out = np.zeros((len(x), W.shape[1]))
    for n in range(len(x)):
        for j in range(W.shape[1]):
            out[n, j] = b[j] + sum(x[n, i] * W[i, j] for i in range(W.shape[0]))
    return out


def float32(tree):
    return tree_map(lambda leaf: np.asarray(leaf, np.float32), tree)


def test_affine():
    layer = Affine.create(1, 3, 4)
    layer = Affine(layer.W, RNG.normal(size=4))
    close(layer(X), loop_affine(layer.W, layer.b, X), rtol=1e-13)
    assert layer(np.zeros((2, 0, 3))).shape == (2, 0, 4)
    assert float32(layer)(X.astype(np.float32)).dtype == np.float32
    close(layer([1, 2, 3]), layer(np.array([1.0, 2.0, 3.0])))
    check_layer(layer, X)
    check_rows(layer, X)
    assert Affine.create(1, 3, 4, bias=False).b is None
    assert np.array_equal(Affine.create(1, 3, 4).W, Affine.create(np.random.default_rng(1), 3, 4).W)


def test_affine_has_the_numbers_of_the_lecture():
    layer = Affine(np.array([[0.1, 0.5], [-0.3, 0.8]]).T)
    x = np.array([0.2, 0.4])

    def f(layer, x):
        return np.sum(layer(x) ** 2)

    value, (of_layer, of_x) = tw.value_and_grad(f, argnums=(0, 1))(layer, x)
    close(layer(x), [0.22, 0.26])
    close(value, 0.116)
    close(of_layer.W.T, [[0.088, 0.176], [0.104, 0.208]])
    close(of_x, [-0.112, 0.636])


def test_affine_of_a_batch_has_the_gradients_of_the_lecture():
    layer = Affine(RNG.normal(size=(3, 2)), RNG.normal(size=2))
    up = RNG.normal(size=(5, 2))
    of_layer, of_x = tw.grad(lambda m, x: np.sum(up * m(x)), argnums=(0, 1))(layer, X)
    close(of_x, up @ layer.W.T)
    close(of_layer.W, X.T @ up)
    close(of_layer.b, up.sum(axis=0))


def test_mlp_and_sequential_are_their_layers_in_a_row():
    net = MLP.create(0, (3, 6, 4, 2), activation=np.tanh)
    first, second, third = net.layers
    expected = third(np.tanh(second(np.tanh(first(X)))))
    close(net(X), expected)
    same = Sequential([first, np.tanh, second, np.tanh, third])
    close(same(X), expected)
    assert same.n_parameters == net.n_parameters == 3 * 6 + 6 + 6 * 4 + 4 + 4 * 2 + 2
    for layer in (net, same):
        check_layer(layer, X)
        check_rows(layer, X)
    close(Sequential([])(X), X)
    assert MLP.create(0, (3, 6, 4, 2), dtype=np.float32)(X.astype(np.float32)).dtype == np.float32


def test_an_ensemble_by_vmap():
    nets = [MLP.create(k, (3, 4, 1)) for k in range(3)]
    stacked = tree_map(lambda *leaves: np.stack(leaves), *nets)
    found = tw.vmap(lambda net: net(X))(stacked)
    close(found, np.stack([net(X) for net in nets]))
    assert "2 layers, relu" in repr(stacked)


def test_fit_and_optimisers_take_them():
    net = Sequential([Affine.create(0, 3, 8), activations.silu, Affine.create(1, 8, 1)])
    y = X[:, :1] * 2
    found = tw.fit(
        net, lambda m, x, y: mse(m(x), y), (X, y), optimiser=tw.optim.Adam(0.05), epochs=60
    )
    assert isinstance(found.model, Sequential)
    assert found.history["loss"][-1] < 0.05 * found.history["loss"][0]


def test_reprs():
    assert repr(Affine.create(0, 2, 3)) == "Affine(2 → 3, 9 parameters)"
    assert repr(Affine.create(0, 1, 1, bias=False)) == "Affine(1 → 1, no bias, 1 parameter)"
    assert repr(MLP.create(0, (2, 3, 1))) == "MLP(2 → 3 → 1, relu, 13 parameters)"
    inner = Sequential([Affine.create(0, 2, 2)])
    assert repr(Sequential([inner, np.tanh])).splitlines() == [
        "Sequential(2 layers, 6 parameters)",
        "  0: Sequential(1 layer, 6 parameters)",
        "    0: Affine(2 → 2, 6 parameters)",
        "  1: tanh",
    ]


def test_errors_name_the_layer():
    with pytest.raises(ShapeError, match=r"Affine\(3 → 4, .*x has shape \(5, 2\), expected \(…, 3"):
        Affine.create(0, 3, 4)(X[:, :2])
    with pytest.raises(ShapeError, match=r"x has shape \(\)"):
        Affine.create(0, 3, 4)(1.0)
    net = Sequential([Affine.create(0, 3, 4), np.tanh, Affine.create(0, 5, 1)])
    with pytest.raises(ShapeError, match=r"layer 2 of Sequential: Affine\(5 → 1"):
        tw.compile(net)(X)
    with pytest.raises(ShapeError, match=r"layer 0 of MLP: Affine\(4 → 2"):
        MLP.create(0, (4, 2, 1))(X)
    with pytest.raises(ShapeError, match=r"W has shape \(3, 2\), b \(3,\)"):
        Affine(np.zeros((3, 2)), np.zeros(3))
    for call in (
        lambda: Affine.create(0, 0, 3),
        lambda: Affine.create(0, 2.0, 3),
        lambda: Affine.create("seed", 2, 3),
        lambda: MLP.create(0, (3,)),
        lambda: MLP.create(0, 3),
        lambda: MLP.create(0, (3, 1), activation="relu"),
        lambda: Sequential(Affine.create(0, 2, 3)),
        lambda: Sequential([Affine.create(0, 2, 3), "tanh"]),
        lambda: Sequential([Affine]),
        lambda: initialisers.uniform(-1),
        lambda: initialisers.normal(np.nan),
    ):
        with pytest.raises(UserError):
            call()
    with pytest.raises(DtypeError, match="int64"):
        Affine.create(0, 2, 3, dtype=np.int64)
    with pytest.raises(ShapeError, match="init gave shape"):
        Affine.create(0, 2, 3, init=lambda rng, shape, dtype: np.zeros(3))
    with pytest.raises(ShapeError, match="two axes"):
        initialisers.he_normal(RNG, (3,))


@pytest.mark.parametrize(
    ("init", "variance", "law"),
    [
        (initialisers.glorot_uniform, 2 / (200 + 100), "uniform"),
        (initialisers.glorot_normal, 2 / (200 + 100), "norm"),
        (initialisers.he_uniform, 2 / 200, "uniform"),
        (initialisers.he_normal, 2 / 200, "norm"),
        (initialisers.uniform(0.3), 0.09 / 3, "uniform"),
        (initialisers.normal(0.3), 0.09, "norm"),
    ],
)
def test_initialisers_have_the_variance_of_their_source(init, variance, law):
    weights = init(np.random.default_rng(3), (200, 100), np.float64)
    std = np.sqrt(variance)
    args = (-std * np.sqrt(3), 2 * std * np.sqrt(3)) if law == "uniform" else (0, std)
    assert scipy.stats.kstest(weights.ravel(), law, args=args).pvalue > 0.001
    assert init(RNG, (3, 2), np.float32).dtype == np.float32


def test_initialisers_count_the_places_of_a_kernel():
    kernel = initialisers.he_normal(np.random.default_rng(0), (5, 5, 8, 60), np.float64)
    close(np.var(kernel), 2 / (5 * 5 * 8), rtol=0.05)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (3, 2, 4)])
def test_orthogonal(shape):
    matrix = initialisers.orthogonal(np.random.default_rng(0), shape)
    assert matrix.flags.c_contiguous  # as a compiled step writes it in place
    matrix = matrix.reshape(-1, shape[-1])
    small = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    close(small, np.eye(len(small)), atol=1e-14)


def spread(weights, variance):
    """Whether weights have this variance, as far as so many can tell (5 standard errors)."""
    return abs(np.var(weights) / variance - 1) < 5 * np.sqrt(2 / weights.size)


def test_layers_start_as_they_say():
    for activation in (activations.relu, activations.gelu, np.tanh):
        first, second, last = MLP.create(0, (100, 300, 200, 50), activation=activation).layers
        he = activation is not np.tanh
        assert spread(first.W, 2 / 100 if he else 2 / 400)
        assert spread(second.W, 2 / 300 if he else 2 / 500)
        assert spread(last.W, 2 / 250)  # outputs are no activations
    assert spread(MLP.create(0, (100, 300, 50), init=initialisers.normal(3)).layers[1].W, 9)
    assert spread(Affine.create(0, 100, 300).W, 2 / 400)
    assert spread(Embedding.create(0, 100, 300).W, 1)
    assert not Affine.create(0, 3, 4).b.any()


def test_orthogonal_is_uniform_among_rotations():
    rng = np.random.default_rng(0)
    angles = []
    for _ in range(2000):
        m = initialisers.orthogonal(rng, (2, 2))
        angles.append(np.arctan2(m[1, 0], m[0, 0]))
    assert scipy.stats.kstest(angles, "uniform", args=(-np.pi, 2 * np.pi)).pvalue > 0.001


Z = np.array([-1e4, -3.0, -0.5, 0.25, 2.0, 1e4])
ORACLES = {
    "relu": lambda z: z if z > 0 else 0.0,
    "leaky_relu": lambda z: z if z > 0 else 0.01 * z,
    "elu": lambda z: z if z > 0 else np.exp(z) - 1,
    "sigmoid": scipy.special.expit,
    "silu": lambda z: z * scipy.special.expit(z),
    "gelu": lambda z: z * scipy.stats.norm.cdf(z),
    "softplus": lambda z: np.logaddexp(0, z),
    "tanh": np.tanh,
}


@pytest.mark.parametrize("name", sorted(activations.__all__))
def test_activations(name):
    function = getattr(activations, name)
    close(function(Z), [ORACLES[name](z) for z in Z], rtol=1e-12)
    tw.check_grads(lambda z: np.sum(function(z)), (Z[1:-1],))
    slopes = tw.compile(tw.grad(lambda z: np.sum(function(z))))(Z)
    close(slopes, tw.grad(lambda z: np.sum(function(z)))(Z), rtol=1e-12)
    assert np.all(np.isfinite(slopes))
    assert function(Z.astype(np.float32)).dtype == np.float32
    check_layer(Sequential([Affine.create(0, 3, 2), function]), X)


def test_elu_is_smooth():
    """Its derivative at 0 is 1 from both sides: max(x, 0) and min(x, 0) would both give 0."""
    slope = tw.grad(lambda z: np.sum(activations.elu(z)))
    z = np.array([-1e-9, 0.0, 1e-9, -1e4, 1e4])
    close(slope(z), [1, 1, 1, 0, 1], atol=1e-8)
    close(tw.compile(slope)(z), slope(z))


def test_kinks_have_the_derivative_from_the_left():
    for function, expected in ((activations.relu, 0.0), (activations.leaky_relu, 0.01)):
        assert tw.grad(function)(0.0) == expected


def test_dropout_keeps_the_mean_and_follows_its_key():
    layer, x = Dropout(0.3), np.ones((200, 100))
    out = layer(x, train=True, key=tw.random.key(0))
    assert np.unique(out).tolist() == [0, 1 / 0.7]
    close(np.mean(out == 0), 0.3, atol=4 * np.sqrt(0.21 / x.size))
    assert np.array_equal(out, layer(x, train=True, key=tw.random.key(0)))
    assert not np.array_equal(out, layer(x, train=True, key=tw.random.key(1)))
    assert np.array_equal(layer(x), x)
    slope = tw.grad(lambda x: np.sum(layer(x, train=True, key=tw.random.key(0))))(x)
    assert np.array_equal(slope, out)
    net = Sequential([Affine.create(0, 3, 64), Dropout(0.5), Dropout(0.5)])
    check_layer(net, X, train=True, key=tw.random.key(3))
    zeros = np.mean(net(X, train=True, key=tw.random.key(3)) == 0)
    assert 0.65 < zeros < 0.85  # independent keys: a quarter is left
    step = tw.compile(lambda x, key: layer(x, train=True, key=key))
    assert np.array_equal(step(x, tw.random.key(0)), out)
    with pytest.raises(UserError, match="needs key="):
        layer(x, train=True)
    with pytest.raises(UserError, match="rate"):
        Dropout(1.0)
    assert layer(x.astype(np.float32), train=True, key=tw.random.key(0)).dtype == np.float32


def loop_norm(rows, scale, shift, epsilon):
    """Each of `rows` normalised by its own numbers."""
    out = []
    for row in rows:
        mean = sum(row) / len(row)
        variance = sum((v - mean) ** 2 for v in row) / len(row)
        out.append([(v - mean) / np.sqrt(variance + epsilon) for v in row])
    return np.array(out) * scale + shift


def test_layer_norm():
    scale, shift = RNG.normal(size=3), RNG.normal(size=3)
    layer = LayerNorm(scale, shift, 1e-3)
    close(layer(X), loop_norm(X, scale, shift, 1e-3))
    check_layer(layer, X)
    check_rows(layer, X)
    assert np.all(np.isfinite(tw.grad(lambda x: np.sum(layer(x)))(np.zeros((2, 3)))))
    with pytest.raises(ShapeError, match=r"LayerNorm\(3, 6 parameters\)"):
        layer(X[:, :2])


def test_batch_norm():
    layer = BatchNorm.create(3, momentum=0.75, epsilon=1e-3)
    out, moved = layer.advance(X)
    close(out, loop_norm(X.T, 1, 0, 1e-3).T)
    close(layer(X, train=True), out)
    close(moved.mean, 0.25 * X.mean(axis=0))
    close(moved.variance, 0.75 + 0.25 * X.var(axis=0, ddof=1))
    close(moved(X), (X - moved.mean) / np.sqrt(moved.variance + 1e-3))
    assert not layer.mean.any()  # nothing was written to
    images = RNG.normal(size=(4, 2, 5, 3))
    close(layer(images, train=True).reshape(-1, 3), layer(images.reshape(-1, 3), train=True))
    tw.check_grads(
        lambda s, t, x: np.sum(np.sin(BatchNorm(s, t, s, s)(x, train=True))),
        (RNG.normal(size=3), RNG.normal(size=3), X),
    )
    for train in (True, False):
        slope = tw.grad(lambda m, train=train: np.sum(m(X, train=train) ** 2))(moved)
        assert not slope.mean.any()
        assert not slope.variance.any()
        assert slope.scale.any()
    through = tw.grad(lambda m: np.sum(m.advance(X)[1].mean + m.advance(X)[1].variance))(moved)
    assert not any(leaf.any() for leaf in flatten(through)[0])  # no gradient goes through them
    for x in (X[0], X[:1]):
        with pytest.raises(ShapeError, match="two rows"):
            layer(x, train=True)


def test_running_statistics_through_containers_and_compile():
    net = Sequential([BatchNorm.create(3), Residual(Sequential([BatchNorm.create(3), np.tanh]))])

    def loss(net, x):
        y, moved = net.advance(x)
        return np.sum(y**2), moved

    (_, moved), slope = tw.compile(tw.value_and_grad(loss, has_aux=True))(net, X)
    first = net.layers[0].advance(X)
    close(moved.layers[0].mean, first[1].mean)
    close(moved.layers[1].inner.layers[0].variance, 0.9 + 0.1 * first[0].var(axis=0, ddof=1))
    assert not slope.layers[0].mean.any()
    close(net.advance(X)[0], net(X, train=True))


def test_embedding():
    layer = Embedding.create(0, 4, 3)
    indices = np.array([[0, 3], [1, 1]])
    close(layer(indices), [[layer.W[0], layer.W[3]], [layer.W[1], layer.W[1]]])
    slope = tw.compile(tw.grad(lambda m: np.sum(m(indices))))(layer)
    close(slope.W, np.array([1, 2, 0, 1])[:, None] * np.ones(3))
    tw.check_grads(lambda m: np.sum(np.sin(m(indices))), (layer,))
    compiled = tw.compile(lambda layer, indices: layer(indices))
    close(compiled(layer, indices), layer(indices))
    close(compiled(layer, 3 - indices), layer(3 - indices))
    assert len(compiled.records) == 1
    # As an argument of what is compiled or batched the layer may be bound: `tw.compile(layer)`.
    bound = tw.compile(layer)
    for numbers in (indices, 3 - indices, 0 * indices):
        close(bound(numbers), layer(numbers))
    assert len(bound.records) == 1
    close(tw.vmap(layer)(indices), layer(indices))
    close(tw.vmap(tw.vmap(layer))(indices), layer(indices))
    with pytest.raises(ShapeError, match=r"W has shape \(3,\)"):
        Embedding(np.ones(3))
    for wrong in ([4], [-1]):
        with pytest.raises(UserError, match=r"Embedding\(4 → 3, 12 parameters\).*\[0, 4\)"):
            layer(wrong)
        with pytest.raises(UserError):
            tw.compile(layer)(np.array(wrong))
    with pytest.raises(DtypeError, match="float64"):
        layer(np.ones(2))
    assert layer(np.zeros((2, 0), int)).shape == (2, 0, 3)


def test_residual_hands_the_key_on():
    block, key = Residual(Dropout(0.5)), tw.random.key(0)
    out = block(np.ones(100), train=True, key=key)
    close(out, 1 + Dropout(0.5)(np.ones(100), train=True, key=key))
    close(block.advance(np.ones(100), key=key)[0], out)


def test_normalising_by_default():
    """ε = 10⁻⁵; a tenth of the batch goes into the running statistics (PyTorch's defaults)."""
    x = np.array([[1.0], [1.01]])
    out, moved = BatchNorm.create(1).advance(x)
    close(out, (x - 1.005) / np.sqrt(0.005**2 + 1e-5))
    close(moved.mean, 0.1 * 1.005)
    close(LayerNorm.create(2)(x[:, 0]), out[:, 0])


def test_residual():
    inner = Affine.create(0, 3, 3)
    block = Residual(Sequential([inner, np.tanh]))
    close(block(X), X + np.tanh(inner(X)))
    check_layer(block, X)
    check_rows(block, X)
    close(Residual(np.tanh)(X), X + np.tanh(X))
    with pytest.raises(ShapeError, match=r"inside Residual: Affine\(3 → 2.*\(5, 2\) of \(5, 3\)"):
        Residual(Affine.create(0, 3, 2))(X)
    with pytest.raises(UserError):
        Residual("tanh")


def test_settings_that_are_numpys_numbers_leave_float32_as_it_is():
    x = X.astype(np.float32)
    half, key = np.float64(0.5), tw.random.key(0)
    norm = BatchNorm.create(3, momentum=half, epsilon=half, dtype=np.float32)
    out, moved = norm.advance(x)
    for value in (
        LayerNorm.create(3, epsilon=half, dtype=np.float32)(x),
        Dropout(half)(x, train=True, key=key),
        out,
        moved.mean,
        moved.variance,
        moved(x),
        GRUCell.create(0, 3, 2, dtype=np.float32)(np.zeros((5, 2), np.float32), x),
    ):
        assert value.dtype == np.float32
    assert repr(Dropout(half)) == "Dropout(0.5)"


def test_what_is_put_together_by_hand_has_to_fit():
    one, two = np.ones(3), np.ones((2, 3))
    for call in (
        lambda: LayerNorm(one, two),
        lambda: LayerNorm(one, np.zeros(1)),
        lambda: LayerNorm(two, two),
        lambda: BatchNorm(one, one, two, one),
    ):
        with pytest.raises(ShapeError, match="vectors of one length"):
            call()
    for make in (
        lambda: MLP((np.tanh,)),
        lambda: MLP((Affine.create(0, 2, 2),), "relu"),
        lambda: Affine.create(0, 2, 3, init="he"),
    ):
        with pytest.raises(UserError):
            make()
