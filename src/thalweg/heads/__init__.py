"""Output units: what stands at the end of the graph, distribution, layer and cost together.

A head is called with the raw outputs of the last affine layer and gives a distribution.

Examples
--------
>>> import numpy as np, thalweg as tw
>>> from thalweg.heads import Gaussian
>>> rng = np.random.default_rng(0)
>>> x = rng.uniform(-1, 1, (200, 1))
>>> y = 2 * x[:, 0] + 0.1 * rng.standard_normal(200)
>>> head = Gaussian()
>>> W = np.zeros((1, head.n_features))
>>> loss = lambda W: np.mean(head(x @ W).nll(y))
>>> W - 0.1 * tw.grad(loss)(W)
array([[0.073..., 0.006...]])
"""

from thalweg.heads import evaluate
from thalweg.heads.bernoulli import Bernoulli, BernoulliDistribution
from thalweg.heads.categorical import Categorical, CategoricalDistribution
from thalweg.heads.distribution import Distribution
from thalweg.heads.gaussian import (
    Gaussian,
    GaussianDistribution,
    MultivariateGaussianDistribution,
)
from thalweg.heads.head import Head
from thalweg.heads.laplace import Laplace, LaplaceDistribution
from thalweg.heads.mixture import MixtureDensity, MixtureDistribution
from thalweg.heads.poisson import Poisson, PoissonDistribution
from thalweg.heads.student import StudentT, StudentTDistribution

__all__ = [
    "Bernoulli",
    "BernoulliDistribution",
    "Categorical",
    "CategoricalDistribution",
    "Distribution",
    "Gaussian",
    "GaussianDistribution",
    "Head",
    "Laplace",
    "LaplaceDistribution",
    "MixtureDensity",
    "MixtureDistribution",
    "MultivariateGaussianDistribution",
    "Poisson",
    "PoissonDistribution",
    "StudentT",
    "StudentTDistribution",
    "evaluate",
]
