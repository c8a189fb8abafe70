"""Models of arbitrary distributions: fully visible belief networks, variational autoencoders."""

from thalweg.generative.fvbn import FVBN
from thalweg.generative.made import MADE, fvsbn
from thalweg.generative.nade import NADE
from thalweg.generative.vae import VAE

__all__ = ["FVBN", "MADE", "NADE", "VAE", "fvsbn"]
