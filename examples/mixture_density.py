"""Bishop's inverse problem: p(x|t) has up to three branches; a mixture density network has them.

x ~ U(0, 1), t = x + 0.3 sin 2πx + U(−0.1, 0.1). The best NLL that any model reaches is −1.282.
"""

import numpy as np

import thalweg as tw
from thalweg import heads
from thalweg.heads import evaluate

rng = np.random.default_rng(0)


def draw(n):
    x = rng.uniform(0, 1, n)
    return x, (x + 0.3 * np.sin(2 * np.pi * x) + rng.uniform(-0.1, 0.1, n))[:, None]


x, t = draw(2000)
x_test, t_test = draw(5000)


def network(params, t):
    hidden = np.tanh((t - 0.5) * 3 @ params["W1"] + params["b1"])
    return hidden @ params["W2"] + params["b2"]


def train(head, bias):
    params = {
        "W1": rng.normal(size=(1, 30)) * 2,
        "b1": rng.normal(size=30),
        "W2": rng.normal(size=(30, head.n_features)) * 0.05,
        "b2": bias,
    }
    adam = tw.optim.Adam(0.005)
    state = adam.init(params)

    @tw.compile
    def step(state, params):
        gradient = tw.grad(lambda p: np.mean(head.cost(network(p, t), x)))(params)
        return adam.update(state, gradient, params)

    for _ in range(2000):
        state, params = step(state, params)
    return head(network(params, t_test))


mixture = heads.MixtureDensity(6, min_scale=0.005)
scores = {}
for name, head, bias in (
    ("one Gaussian", heads.Gaussian(), np.zeros(2)),
    ("mixture", mixture, mixture.start(x)),
):
    p = train(head, bias)
    scores[name] = evaluate.nll(p, x_test)
    print(
        f"{name:12}: NLL {scores[name]:6.3f}, CRPS {np.mean(evaluate.crps(p, x_test)):.4f}, "
        f"90 % intervals hold {evaluate.coverage(p, x_test, 0.9):.3f}"
    )
print("components without use:", int(p.dead_components().sum()))
assert scores["mixture"] < -1.0 < scores["one Gaussian"]
