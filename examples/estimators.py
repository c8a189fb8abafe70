"""Estimators with scikit-learn's conventions: a search by likelihood, intervals, a mixture."""

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV, train_test_split

from thalweg.heads import MixtureDensity
from thalweg.sklearn import NetRegressor, neg_crps, neg_nll

# Which head says most about how diabetes goes on?
X, X_test, y, y_test = train_test_split(*load_diabetes(return_X_y=True), random_state=0)
net = NetRegressor((16,), activation="tanh", solver="lbfgs", alpha=0.1, tol=1e-3, random_state=0)
search = GridSearchCV(net, {"head": ["gaussian", "student"]}, scoring=neg_nll, cv=4).fit(X, y)
best = search.best_estimator_
low, high = best.predict_interval(X_test, 0.9)
print(
    f"{best.head}: R² {best.score(X_test, y_test):.2f}, CRPS {-neg_crps(best, X_test, y_test):.1f}"
)
print(f"90 % intervals hold {np.mean((low <= y_test) & (y_test <= high)):.2f}")
net.set_params(calibration_fraction=0.3, head=best.head).fit(X, y)
low, high = net.predict_interval(X_test, 0.9)
print(f"calibrated ones hold {np.mean((low <= y_test) & (y_test <= high)):.2f}")

# Bishop's inverse problem has up to three answers.
rng = np.random.default_rng(0)
x = rng.uniform(0, 1, 5000)
t = x + 0.3 * np.sin(2 * np.pi * x) + rng.uniform(-0.1, 0.1, len(x))
mixture = NetRegressor(
    (32, 32),
    MixtureDensity(15, min_scale=0.02),
    "silu",
    learning_rate="cosine",
    learning_rate_init=0.01,
    max_iter=40,
    random_state=0,
).fit(t[:4000, None], x[:4000])
score = neg_nll(mixture, t[4000:, None], x[4000:])
print(f"log-likelihood {score:.2f} nats (the truth has 1.28)")
assert score > 1.05
