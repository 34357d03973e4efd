"""The losses of the gan wing, on an affine generator and a discriminator of one hidden layer that take labels."""

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.gan import RELATIVISTIC, Pairs, discriminator_loss, generator_loss
from sandbox.gan.derivatives import Affine, OneHidden, affine, one_hidden
from tests.case import Case

ROWS, LATENTS, NUMBERS, HIDDEN, LABELS = 4, 2, 3, 5, 3
RNG = np.random.default_rng(0)


def _normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def generate(params, latents, labels):
    return affine(params["same"], latents) + jnp.asarray(params["own"])[labels]


def discriminate(params, samples, labels):
    """A label has its own logit and its own slope, so that none can be mistaken for another."""
    return one_hidden(params["same"], samples) + jnp.sum(jnp.asarray(params["own"])[labels] * samples, axis=1)


GENERATOR = {"same": Affine(_normal(NUMBERS, LATENTS), _normal(NUMBERS)), "own": _normal(LABELS, NUMBERS)}
DISCRIMINATOR = {"same": OneHidden(_normal(HIDDEN, NUMBERS), _normal(HIDDEN), _normal(HIDDEN), _normal()),
                 "own": _normal(LABELS, NUMBERS)}
BATCH = Pairs(_normal(ROWS, NUMBERS), _normal(ROWS, LATENTS), RNG.uniform(size=ROWS).astype(np.float32),
              np.array([1, 2, 0.5, 0], np.float32), (np.array([0, 2, 1, 1], np.int32),))
NETWORKS = {"generate": generate, "discriminate": discriminate}
OF_DISCRIMINATOR = {"opponent": GENERATOR, "criterion": RELATIVISTIC, "r1": 0.5, "r2": 0.2, "gradient_penalty": 2.0,
                    **NETWORKS}
OF_GENERATOR = {"opponent": DISCRIMINATOR, "criterion": RELATIVISTIC, **NETWORKS}


def _extremes(params):
    def scaled(factor):
        return jax.tree.map(lambda leaf: np.float32(factor) * leaf, params)

    def unknown(rows):
        return BATCH._replace(**{name: np.where(rows.reshape(-1, *[1] * (leaf.ndim - 1)), np.float32(np.nan), leaf)
                                 for name, leaf in zip(BATCH._fields, BATCH[:3])})

    nowhere = np.zeros(ROWS, np.float32)
    return (
        (params, BATCH._replace(weights=nowhere)),
        (params, unknown(nowhere == 0)._replace(weights=nowhere)),
        (params, unknown(BATCH.weights == 0)),
        (params, BATCH._replace(weights=1e4 * BATCH.weights, real=1e4 * BATCH.real, latents=1e4 * BATCH.latents)),
        (scaled(1e4), BATCH),
        (scaled(0), BATCH),
    )


def _refused(loss, params, keywords):
    """What both refuse: of the batch, and of the networks."""
    def of(batch=BATCH, **changed):
        return lambda: loss(params, batch, **keywords | changed)

    return [
        (ValueError, "a batch must have a row or more, got real (0, 3)",
         of(jax.tree.map(lambda leaf: leaf[:0], BATCH))),
        (ValueError, "latents, mix, weights and conditions must have the rows of real, (4, 3), got (4, 2), (4,), (3,), "
         "(4,)", of(BATCH._replace(weights=BATCH.weights[:3]))),
        (ValueError, "latents must be (N, L) with L of at least 1, got (4, 0)",
         of(BATCH._replace(latents=BATCH.latents[:, :0]))),
        (TypeError, "real must be floating, got uint8", of(BATCH._replace(real=BATCH.real.astype(np.uint8)))),
    ], [
        (ValueError, "generate must return samples of the shape of real, (4, 3), got (4, 2)",
         of(generate=lambda *given: generate(*given)[:, :2])),
        (ValueError, "discriminate must return one logit a row, (12,), got (12, 1)" if loss is discriminator_loss else
         "discriminate must return one logit a row, (4,), got (4, 1)",
         of(discriminate=lambda *given: discriminate(*given)[:, None])),
    ]


def _case(loss, params, keywords, negative=()):
    of_batch, of_networks = _refused(loss, params, keywords)
    return Case(loss, params, BATCH, keywords, _extremes(params), (*of_batch, *negative, *of_networks))


CASES = (
    _case(discriminator_loss, DISCRIMINATOR, OF_DISCRIMINATOR, [
        (ValueError, "r2 must be at least 0, got -0.1",
         lambda: discriminator_loss(DISCRIMINATOR, BATCH, **OF_DISCRIMINATOR | {"r2": -0.1}))]),
    _case(generator_loss, GENERATOR, OF_GENERATOR),
)
