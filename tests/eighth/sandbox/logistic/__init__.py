"""Telling two classes apart: the loss −log p(y|x) of p = 1 / (1 + e^−⟨w, x⟩), and its gradient, E (p − y) x."""

from sandbox.logistic import derivatives, losses
from sandbox.logistic.losses import Labelled, LogLossAux, log_loss

__all__ = ["Labelled", "LogLossAux", "derivatives", "log_loss", "losses"]
