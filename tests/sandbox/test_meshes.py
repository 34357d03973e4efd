"""Every loss on eight devices: value, gradient and twenty steps are those of one device, to rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sandbox import sharding
from tests.sandbox.test_contract import CASES, value_and_grad

DEVICES = 8


def widened(batch):
    """Its rows over and over, as many times as there are devices: losses are means, and stay what they are."""
    return jax.tree.map(lambda leaf: np.concatenate([np.asarray(leaf)] * DEVICES), batch)


def descended(case, params, batch):
    """What twenty steps down the gradient, short ones, make of the parameters; values and gradients on the way."""
    def step(params, _):
        value, _, gradient = value_and_grad(case, params, batch)
        rate = 0.01 / jnp.maximum(1, optax.tree.norm(gradient))
        return jax.tree.map(lambda leaf, slope: leaf - rate * slope, params, gradient), (value, gradient)

    return jax.lax.scan(step, jax.tree.map(jnp.asarray, params), length=20)


@pytest.mark.parametrize("case", CASES, ids=[case.loss.__name__ for case in CASES])
def test_eight_devices_do_as_one(case):
    batch, mesh = widened(case.batch), sharding.make_mesh({"data": DEVICES})
    run = jax.jit(lambda params, batch: descended(case, params, batch))
    alone = run(case.params, batch)
    together = run(sharding.replicate(mesh, case.params), sharding.place_batch(mesh, batch))
    for one, other in zip(jax.tree.leaves(alone), jax.tree.leaves(together), strict=True):
        scale = max(1.0, float(np.max(np.abs(one), initial=0)))
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * scale)
