"""Models of arbitrary distributions: visible belief networks, autoencoders, adversaries."""

from thalweg.generative.fvbn import FVBN
from thalweg.generative.gan import GAN, Coverage, mode_coverage, ring_of_gaussians
from thalweg.generative.gan_fit import FittedGAN, fit_gan
from thalweg.generative.made import MADE, fvsbn
from thalweg.generative.nade import NADE
from thalweg.generative.vae import VAE

__all__ = [
    "FVBN",
    "GAN",
    "MADE",
    "NADE",
    "VAE",
    "Coverage",
    "FittedGAN",
    "fit_gan",
    "fvsbn",
    "mode_coverage",
    "ring_of_gaussians",
]
