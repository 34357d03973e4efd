"""The loss of logistic, with params and a batch."""

import jax.numpy as jnp

from sandbox.logistic import Labelled, log_loss
from tests.case import Case

BATCH = Labelled(jnp.ones((3, 2)), jnp.array([0.0, 1, 1]), jnp.ones(3))
CASES = (Case(log_loss, jnp.ones(2), BATCH, {}, ((jnp.full(2, 1e4), BATCH),), ()),)
