"""The losses of the reinforce wing, on linear policies of both kinds and a linear value, with params and a batch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.reinforce import (
    GAUSSIAN,
    Decisions,
    Gaussian,
    Returns,
    clipped_policy_gradient,
    policy_gradient,
    value_error,
)
from tests.case import Case

STEPS, EPISODES, SIZE, ACTIONS, NUMBERS = 3, 2, 4, 3, 2
RNG = np.random.default_rng(0)


def _normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def logits_of(params, observations):
    return jnp.tensordot(observations, params, axes=1)


def gaussian_of(params, observations):
    mean = logits_of(params["gain"], observations)
    return Gaussian(mean, jnp.broadcast_to(params["log_std"][None, None], mean.shape))


def values_of(params, observations):
    return logits_of(params, observations)


WEIGHTS = np.array([[1, 1], [2, 1], [0.5, 0]], np.float32)
CHOSEN = Decisions(_normal(STEPS, EPISODES, SIZE), RNG.integers(0, ACTIONS, (STEPS, EPISODES)).astype(np.int32),
                   _normal(STEPS, EPISODES), -np.ones((STEPS, EPISODES), np.float32), WEIGHTS)
MOVED = CHOSEN._replace(actions=_normal(STEPS, EPISODES, NUMBERS), log_probs=np.full((STEPS, EPISODES), -3, np.float32))
WORTH = Returns(CHOSEN.observations, CHOSEN.advantages, WEIGHTS)
LOGITS, VALUE = _normal(SIZE, ACTIONS), _normal(SIZE)
GAIN = {"gain": _normal(SIZE, NUMBERS), "log_std": _normal(NUMBERS)}


def _extremes(params, batch):
    def scaled(factor):
        if isinstance(params, dict):
            return params | {"gain": np.float32(factor) * params["gain"]}
        return np.float32(factor) * params

    nowhere = jax.tree.map(np.zeros_like, batch.weights)
    unknown = type(batch)(*(np.full_like(leaf, np.nan) if leaf.dtype == np.float32 else leaf for leaf in batch))
    far = batch._replace(observations=1e4 * batch.observations, weights=1e4 * batch.weights)
    return (
        (params, batch._replace(weights=nowhere)),
        (params, unknown._replace(weights=nowhere)),  # padding may be what it likes
        (scaled(1e4), batch),
        (scaled(1e2), far),
        (scaled(0), batch),
    )


plain = functools.partial(policy_gradient, LOGITS, CHOSEN)
clipped = functools.partial(clipped_policy_gradient, GAIN, MOVED, distribution=GAUSSIAN)
worth = functools.partial(value_error, VALUE)
SHORT = ("actions, advantages, log_probs and weights must be (3, 2), as observations (3, 2, 4) are, got (3, 2), (3,), "
         "(3, 2), (3, 2)")
CASES = (
    Case(policy_gradient, LOGITS, CHOSEN, {"apply_fn": logits_of, "entropy_weight": 0.1}, _extremes(LOGITS, CHOSEN), (
        (ValueError, SHORT, lambda: policy_gradient(LOGITS, CHOSEN._replace(advantages=jnp.ones(3)),
                                                    apply_fn=logits_of)),
        (ValueError, "actions of a categorical policy with logits (2, 3) must be (2,), got (3, 2)",
         lambda: plain(apply_fn=lambda params, observations: logits_of(params, observations)[0])),
        (TypeError, "actions of a categorical policy must be integers, got float32",
         lambda: policy_gradient(LOGITS, CHOSEN._replace(actions=jnp.ones((3, 2))), apply_fn=logits_of)),
        (ValueError, "entropy_weight must be at least 0, got -0.1",
         lambda: plain(apply_fn=logits_of, entropy_weight=-0.1)),
    )),
    Case(clipped_policy_gradient, GAIN, MOVED,
         {"apply_fn": gaussian_of, "distribution": GAUSSIAN, "clip": 0.2, "entropy_weight": 0.1},
         _extremes(GAIN, MOVED), (
        (ValueError, SHORT, lambda: clipped_policy_gradient(GAIN, MOVED._replace(advantages=jnp.ones(3)),
                                                            apply_fn=gaussian_of)),
        (ValueError, "actions of a Gaussian policy with mean (3, 2, 1) must be of that shape, got (3, 2, 2)",
         lambda: clipped(apply_fn=lambda params, observations: Gaussian(*(observations[..., :1],) * 2))),
        (TypeError, "the head of a Gaussian policy must be a Gaussian, got ArrayImpl",
         lambda: clipped(apply_fn=lambda params, observations: logits_of(params["gain"], observations))),
        (ValueError, "entropy_weight must be at least 0, got nan",
         lambda: clipped(apply_fn=gaussian_of, entropy_weight=float("nan"))),
        (ValueError, "clip must be above 0, got 0.0", lambda: clipped(apply_fn=gaussian_of, clip=0.0)),
    )),
    Case(value_error, VALUE, WORTH, {"apply_fn": values_of}, _extremes(VALUE, WORTH), (
        (ValueError, "returns and weights must be (3, 2), as observations (3, 2, 4) are, got (3, 2) and (2,)",
         lambda: worth(WORTH._replace(weights=jnp.ones(2)), apply_fn=values_of)),
        (ValueError, "apply_fn must return values (3, 2), got (3, 2, 1)",
         lambda: worth(WORTH, apply_fn=lambda params, observations: values_of(params, observations)[..., None])),
    )),
)
