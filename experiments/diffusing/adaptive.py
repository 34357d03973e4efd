"""The probability flow by diffrax's adaptive solver: what the fixed steps are measured against."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.diffusing.diffuser import Diffuser
from experiments.runner.errors import UserError
from sandbox import score_matching

MOST_STEPS = 10_000


class Adaptive(NamedTuple):
    """log_density: (N,), nats. evaluations: of the network, for all of them together."""

    log_density: np.ndarray
    evaluations: int


def adaptive_log_density(diffuser: Diffuser, x: np.ndarray, *, tolerance: float = 1e-5, model: int = 0,
                         most_steps: int = MOST_STEPS) -> Adaptive:
    """log p of points (N, *shape) by Prince and Dormand's method of order 8, in steps as long as the tolerance allows.

    Raises:
      UserError: the solver needed more than most_steps steps.
    """
    with jax.enable_x64(True):  # a tolerance finer than float32 has digits for
        params = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf[model], np.float64)), diffuser.params)
        found = _solved(diffuser.with_params(None), params, jnp.asarray(np.asarray(x, np.float64)),
                        jnp.asarray(tolerance), most_steps)
        log_density, evaluations, done = map(np.asarray, found)
    if not bool(done):
        raise UserError(f"the adaptive solver did not converge in {most_steps:,} steps at tolerance {tolerance:g}: ask "
                        "for a larger tolerance or more steps, or train longer: an untrained score can be stiff")
    return Adaptive(log_density, int(evaluations))


@partial(jax.jit, static_argnums=(0, 4))
def _solved(diffuser: Diffuser, params: Any, x: jax.Array, tolerance: jax.Array, most_steps: int):
    import diffrax  # a second to import, that only this needs

    def score_fn(x, level):
        return diffuser.score_fn(params, x, level)

    field = score_matching.flow_field(score_fn)

    def by_log_level(log_level, state, _):
        level = jnp.exp(log_level)
        return jax.tree.map(lambda slope: level * slope, field(level, state))

    least, most = jnp.log(diffuser.least_level), jnp.log(diffuser.most_level)
    found = diffrax.diffeqsolve(
        diffrax.ODETerm(by_log_level), diffrax.Dopri8(), least, most, 0.1, (x, jnp.zeros(len(x), x.dtype)),
        stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance), max_steps=most_steps, throw=False)
    end, gained = jax.tree.map(lambda leaf: leaf[-1], found.ys)
    variance = diffuser.most_level**2 + diffuser.sigma_data**2
    away = (end - diffuser.mean).reshape(len(x), -1)
    normal = -0.5 * jnp.sum(away**2, axis=1) / variance - away.shape[1] / 2 * jnp.log(2 * jnp.pi * variance)
    # The method asks 14 times a step, for the first of them in the step before.
    return normal - gained, found.stats["num_steps"] * 13 + 1, found.result == diffrax.RESULTS.successful
