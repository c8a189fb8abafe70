"""What stands around a model: layers and what starts them, `losses` and `regularise`."""

from thalweg.nn import activations, initialisers, losses, regularise
from thalweg.nn.cells import GRUCell, LSTMCell
from thalweg.nn.convolution import AvgPool2D, Conv2D, MaxPool2D
from thalweg.nn.layers import MLP, Activation, Affine, Layer, Sequential
from thalweg.nn.layers_norm import BatchNorm, LayerNorm
from thalweg.nn.layers_parts import Dropout, Embedding, Residual

__all__ = [
    "MLP",
    "Activation",
    "Affine",
    "AvgPool2D",
    "BatchNorm",
    "Conv2D",
    "Dropout",
    "Embedding",
    "GRUCell",
    "LSTMCell",
    "Layer",
    "LayerNorm",
    "MaxPool2D",
    "Residual",
    "Sequential",
    "activations",
    "initialisers",
    "losses",
    "regularise",
]
