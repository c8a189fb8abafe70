"""A perceptron that gives the probabilities of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from thalweg.heads import Bernoulli, BernoulliDistribution, Categorical, CategoricalDistribution
from thalweg.sklearn.network import Network
from thalweg.sklearn.trained import all_or_nothing

__all__ = ["NetClassifier"]


class NetClassifier(ClassifierMixin, Network):
    """Multilayer perceptron with a categorical head; of several labels a row, Bernoulli heads.

    The parameters have the names and meanings of scikit-learn's `MLPClassifier` where it has them.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        Units of each hidden layer; ``()``: logistic regression.
    activation : str or callable
        ``"relu"``, ``"tanh"``, ``"logistic"``, ``"silu"``, ``"gelu"``, ``"elu"``,
        ``"leaky_relu"``, ``"softplus"``, ``"identity"``, or a function of arrays.
    solver : {"adam", "sgd", "lbfgs"} or an optimiser of `thalweg.optim`
        ``"sgd"`` has Nesterov's momentum 0.9; ``"lbfgs"`` takes all rows at once. An optimiser has
        its own rate.
    learning_rate_init : float
        The rate at the start.
    learning_rate : {"constant", "cosine"}
        ``"cosine"`` falls to 0 over `max_iter` epochs.
    alpha : float
        ½ alpha Σ W² is added to the mean loss (of the weights, not of the biases).
    batch_size : int or "auto"
        ``"auto"``: at most 64.
    max_iter : int
        Epochs, or iterations of L-BFGS.
    shuffle : bool
        New order of the rows each epoch.
    tol, n_iter_no_change : float, int
        With a constant rate, or with early stopping, training ends when the loss has not fallen by
        `tol` for so many epochs; for L-BFGS `tol` bounds the gradient's largest entry.
    early_stopping : bool
        Hold out `validation_fraction` of the rows (of each class alike), go by their loss, and keep
        the best epoch's weights.
    validation_fraction : float
        In (0, 1).
    class_weight : dict, "balanced" or None
        Weights of the classes, as everywhere in scikit-learn.
    standardise : bool
        Shift and scale the inputs to mean 0 and standard deviation 1 first.
    warm_start : bool
        `fit` goes on from the weights that are there.
    random_state : int, RandomState or None
    verbose : bool
        Show a progress bar.

    Attributes
    ----------
    classes_ : ndarray
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.
    net_ : thalweg.nn.MLP
        The network: a tree of its weights.
    head_ : thalweg.heads.Head
    n_iter_ : int
        Epochs (iterations) of the last fit.
    loss_ : float
    loss_curve_ : list of float
        One number an epoch; L-BFGS has none.
    validation_curve_ : list of float
        The same of the rows that `early_stopping` holds out; without it there is none.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from thalweg.sklearn import NetClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> net = NetClassifier((16,), learning_rate="cosine", random_state=0).fit(X, y)
    >>> net.predict_proba(X[:1]).round(1)
    array([[1., 0., 0.]])
    >>> net.score(X, y) > 0.95
    True
    """

    classes_: np.ndarray
    _multilabel: bool

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        learning_rate_init: float = 0.003,
        learning_rate: str = "constant",
        alpha: float = 1e-4,
        batch_size: Any = "auto",
        max_iter: int = 200,
        shuffle: bool = True,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        class_weight: Any = None,
        standardise: bool = True,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.learning_rate = learning_rate
        self.alpha = alpha
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.class_weight = class_weight
        self.standardise = standardise
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @all_or_nothing
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NetClassifier:
        """Train.

        Parameters
        ----------
        X : array of shape (n, features)
        y : array of shape (n,), or 0 and 1 of shape (n, labels)
        sample_weight : array of shape (n,), optional

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For data or parameters that will not do.
        NonFiniteError
            If the loss becomes NaN or Inf; it names the operation.
        """
        X, y = self._read(X, y, reset=True)
        self._fit(X, self._set_classes(y), sample_weight)
        return self

    @all_or_nothing
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> NetClassifier:
        """One pass over these rows; the optimiser's state is kept between calls.

        Parameters
        ----------
        X, y, sample_weight
            As of `fit`. The first call's rows fix the standardisation.
        classes : array, optional
            All classes there will be; needed in the first call.

        Returns
        -------
        self
        """
        first = not hasattr(self, "net_")
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all rows; give partial_fit a dict of weights"
            )
        X, y = self._read(X, y, reset=first)
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if first:
            y = self._set_classes(y, np.asarray(classes))
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"classes={classes!r}: the first call had {self.classes_}")
        self._partial(X, y, sample_weight, first)
        return self

    def _set_classes(self, y: np.ndarray, classes: np.ndarray | None = None) -> np.ndarray:
        """Note the classes; labels as one column, several labels a row as they are."""
        check_classification_targets(y)
        several = type_of_target(y) == "multilabel-indicator"
        warm = self.warm_start and hasattr(self, "net_")
        if warm and several != self._multilabel:
            told = ("one label", "several labels")
            raise ValueError(
                f"warm_start: y has {told[several]} a row, the earlier fit had {told[not several]}"
            )
        self._multilabel: bool = several
        if several:
            found = np.arange(y.shape[1])
        else:
            y = column_or_1d(y, warn=True)
            found = np.unique(y if classes is None else classes)
            if len(found) < 2:
                raise ValueError(
                    f"a classifier needs two classes; y has one class: {str(found[0])!r}"
                )
        if warm and not np.array_equal(found, self.classes_):
            raise ValueError(
                f"warm_start: y has the classes {found}, the earlier fit had {self.classes_}"
            )
        self.classes_ = found
        return y

    def encode(self, y: Any) -> np.ndarray:
        """Targets as the predicted distributions take them: numbers of classes, or bits.

        Raises
        ------
        ValueError
            For a label that is no class, or another number of labels a row.
        """
        y = np.asarray(y)
        if self._multilabel:
            if y.shape[1:] != self.classes_.shape:
                raise ValueError(
                    f"y has shape {y.shape}; the earlier fit had {len(self.classes_)} labels a row"
                )
            return y.astype(np.int64)
        y = column_or_1d(y)
        place = np.searchsorted(self.classes_, y)
        place = np.minimum(place, len(self.classes_) - 1)
        wrong = self.classes_[place] != y
        if np.any(wrong):
            raise ValueError(f"y has the label {str(y[wrong][0])!r}, which is not in classes_")
        return place.astype(np.int64)

    def _targets(self, y: np.ndarray, w: np.ndarray, first: bool) -> np.ndarray:
        if first:
            n = len(self.classes_)
            self.head_ = Bernoulli(event=(n,)) if self._multilabel else Categorical(n)
        return self.encode(y)

    def _weighted(self, y: Any, w: np.ndarray) -> np.ndarray:
        if self.class_weight is None:
            return w
        return w * compute_sample_weight(self.class_weight, y)

    def _labels(self, columns: tuple[np.ndarray, ...]) -> np.ndarray | None:
        return None if self._multilabel else columns[1]

    def predict_dist(self, X: Any) -> CategoricalDistribution | BernoulliDistribution:
        """The distributions over class numbers (positions in `classes_`), or over bits."""
        return self.head_(self._raw(X))  # type: ignore[return-value]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes, or of each label, of shape (n, classes)."""
        raw = self._raw(X)
        return np.asarray(expit(raw) if self._multilabel else softmax(raw, axis=1))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of `predict_proba`, without going by way of it."""
        raw = self._raw(X)
        return np.asarray(log_expit(raw) if self._multilabel else log_softmax(raw, axis=1))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row; of labels each that is more probable than not."""
        raw = self._raw(X)
        if self._multilabel:
            return (raw > 0).astype(np.int64)
        return np.asarray(self.classes_[np.argmax(raw, axis=1)])

    def _more_tags(self) -> dict[str, Any]:  # scikit-learn 1.5
        return {"multilabel": True}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
