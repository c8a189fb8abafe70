"""Models of arbitrary distributions: fully visible belief networks, variational autoencoders."""

from thalweg.generative.fvbn import MADE, fvsbn
from thalweg.generative.vae import VAE

__all__ = ["MADE", "VAE", "fvsbn"]
