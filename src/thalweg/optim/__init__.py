"""Optimisers: pure steps on trees of parameters, and what belongs to them.

``state = opt.init(params)``, then ``state, params = opt.update(state, grads, params)``: plain
NumPy, so a whole training step compiles, in place, with one record.
"""

from thalweg.optim.averaging import EMA, Averaged, Polyak
from thalweg.optim.base import Optimiser, State
from thalweg.optim.combine import Clipped, Groups, clip_by_global_norm, clip_by_value, global_norm
from thalweg.optim.minimise import Minimum, minimize_lbfgs, minimize_newton
from thalweg.optim.rules import SGD, Adagrad, Adam, AdamW, Lion, Momentum, Nesterov, RMSprop
from thalweg.optim.schedules import Constant, Cosine, Exponential, OneCycle, Steps, WarmUp

__all__ = [
    "EMA",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Averaged",
    "Clipped",
    "Constant",
    "Cosine",
    "Exponential",
    "Groups",
    "Lion",
    "Minimum",
    "Momentum",
    "Nesterov",
    "OneCycle",
    "Optimiser",
    "Polyak",
    "RMSprop",
    "State",
    "Steps",
    "WarmUp",
    "clip_by_global_norm",
    "clip_by_value",
    "global_norm",
    "minimize_lbfgs",
    "minimize_newton",
]
