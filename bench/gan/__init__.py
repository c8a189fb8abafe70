"""Generative adversarial networks: modes of a ring by seeds, and samples of digits."""
