"""The networks: how large they are, that they begin knowing nothing, that they learn, and who trains what."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.convolution import Images, ResidualNetwork, SmallNetwork, cross_entropy, kernels_and_rest
from sandbox.training import chunk_of, init_state, step_of

SMALL = SmallNetwork(num_classes=3, widths=(4, 6), depths=(1, 0), stem_size=3, stem_strides=1)
RESIDUAL = ResidualNetwork(num_classes=3, widths=(4, 6), depths=(1, 1), groups=2)
BOTH = pytest.mark.parametrize("network", [SMALL, RESIDUAL], ids=["small", "residual"])


def stripes():
    """Horizontal, vertical and no stripes, under noise."""
    rng, waves = np.random.default_rng(0), np.sin(np.arange(8) * np.pi / 2)
    kinds = np.stack([np.tile(waves[:, None], (1, 8)), np.tile(waves, (8, 1)), np.zeros((8, 8))])
    images = np.repeat(kinds, 8, axis=0) + 0.3 * rng.normal(size=(24, 8, 8))
    return Images(jnp.asarray(images[..., None], jnp.float32), jnp.repeat(jnp.eye(3), 8, axis=0), jnp.ones(24))


@BOTH
def test_it_begins_knowing_nothing_and_learns_in_sixty_steps(network):
    batch = stripes()
    optimizer = kernels_and_rest(kernels=0.05, rest=0.02)
    step = step_of(functools.partial(cross_entropy, apply_fn=network.apply), optimizer, lambda key, batch: batch)

    @jax.jit
    def train(key):
        state = init_state(network.init(key, batch.images[:1]), optimizer, key)
        return chunk_of(step, 60)(state, batch).metrics["loss"]

    loss = train(jax.random.key(0))
    np.testing.assert_allclose(loss[0], np.log(3), rtol=1e-5)
    assert loss[-1] < 0.1


@BOTH
def test_it_computes_in_the_type_asked_for_and_keeps_no_statistics(network):
    half = network.clone(dtype=jnp.bfloat16)
    variables = jax.eval_shape(half.init, jax.random.key(0), jax.ShapeDtypeStruct((2, 8, 8, 1), jnp.float32))
    assert set(variables) == {"params"}
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))
    assert jax.eval_shape(half.apply, variables, jnp.ones((2, 8, 8, 1))).dtype == jnp.bfloat16


def test_each_parameter_has_the_optimiser_of_its_kind():
    """Muon's steps are orthogonal, Adam's first is ± its rate; only kernels that are not the stem are Muon's."""
    params = jax.eval_shape(SMALL.init, jax.random.key(0), jnp.ones((1, 8, 8, 1)))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), params)
    optimizer = kernels_and_rest(kernels=0.5, rest=0.25)
    updates = jax.jit(lambda: optimizer.update(params, optimizer.init(params), params)[0])()["params"]
    for name, layer in updates.items():
        for leaf in layer.values():
            by_adam = np.allclose(np.abs(leaf), 0.25, rtol=1e-3)
            assert by_adam != (name in ("conv_0_0", "halve_1")), name
