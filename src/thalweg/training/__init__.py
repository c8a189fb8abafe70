"""Training: mini-batches, one compiled step, validation, checkpoints that resume bit for bit."""

from thalweg.training.batches import Source
from thalweg.training.loop import Epoch, Fitted, fit
from thalweg.training.store import Checkpoints

__all__ = ["Checkpoints", "Epoch", "Fitted", "Source", "fit"]
