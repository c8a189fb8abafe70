"""What stands around a model: layers and what starts them, `losses` and `regularise`."""

from thalweg.nn import activations, initialisers, losses, regularise
from thalweg.nn.layers import MLP, Activation, Affine, Layer, Sequential

__all__ = [
    "MLP",
    "Activation",
    "Affine",
    "Layer",
    "Sequential",
    "activations",
    "initialisers",
    "losses",
    "regularise",
]
