"""Training: mini-batches, one compiled step, validation, checkpoints that resume bit for bit."""

from thalweg.training.batches import Source
from thalweg.training.loop import fit
from thalweg.training.results import Epoch, Fitted, History
from thalweg.training.snapshots import Snapshots
from thalweg.training.store import Checkpoints

__all__ = ["Checkpoints", "Epoch", "Fitted", "History", "Snapshots", "Source", "fit"]
