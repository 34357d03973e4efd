"""The reverse stochastic differential equation of any process: Euler–Maruyama, alone or corrected by Langevin's."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.score_matching.levels import require_falling
from sandbox.score_matching.processes import Process, drift_and_diffusion, require_times
from sandbox.score_matching.sampled import Moves, Sampled, begin, walk

__all__ = ["euler_maruyama", "predictor_corrector"]


def euler_maruyama(key: jax.Array, shape: tuple[int, ...], *, score_fn: Callable[..., jax.Array], process: Process,
                   times: np.ndarray, start: jax.Array | None = None) -> Sampled:
    """The process backwards: dx = (f x − g² s(x, t)) dt + g dw̄, in steps of h from t to t − h.

    x' = x − h (f x − g² s(x, t)) + g √h z;   the last step without noise.

    One evaluation a step. Of `linear_path`, f and g² grow without bound towards t = 1: times are to be closer there.

    Args:
      key: PRNG key. shape: (N, ...). score_fn: s, (x, time (N,)) -> (N, ...), of this process (see `in_process`).
      process: f, g². times: (n + 1,) falling, in its interval. start: x at times[0], (N, ...); None for noise, σ z.
    Returns:
      Sampled, at the last of the times.
    Raises:
      TypeError: times are traced.
      ValueError: times are fewer than two or not falling.
      ValueError: a time is not in the process's interval.
      ValueError: shape has no axis of rows, or start another shape.
      ValueError: score_fn does not return the shape of x.
    Source: Song et al. 2021, "Score-based generative modeling through stochastic differential equations", eq. 6;
      Anderson 1982, "Reverse-time diffusion equation models".

    >>> from sandbox.score_matching.processes import by_level
    >>> drawn = euler_maruyama(jax.random.key(0), (1, 2), score_fn=lambda x, time: -x / (1 + time[:, None] ** 2),
    ...                        process=by_level(), times=np.array([2.0, 1.0, 0.1]))
    >>> drawn.path.shape
    (3, 1, 2)
    """
    return predictor_corrector(key, shape, score_fn=score_fn, process=process, times=times, start=start,
                               corrector_steps=0)


def predictor_corrector(key: jax.Array, shape: tuple[int, ...], *, score_fn: Callable[..., jax.Array],
                        process: Process, times: np.ndarray, start: jax.Array | None = None, corrector_steps: int = 1,
                        signal_to_noise: float = 0.16) -> Sampled:
    """`euler_maruyama` whose every step but the last is followed by Langevin steps at the new time.

    x ← x + a s(x, t) + √(2a) z,   a = 2 (r ‖z‖ / ‖s‖)², of norms as they are expected of data narrower than the noise,
    √D and √D / σ(t): a = 2 (r σ(t))², so that no row's step depends on another row.

    n + (n − 1) C evaluations.

    Args:
      key, shape, score_fn, process, times, start: see `euler_maruyama`.
      corrector_steps: C >= 0. signal_to_noise: r, in (0, 1): at 1 the dynamics diverge.
    Returns:
      Sampled, its path told after the corrector, at the last of the times.
    Raises:
      TypeError: times are traced.
      ValueError: times are fewer than two or not falling.
      ValueError: a time is not in the process's interval.
      ValueError: corrector_steps is below 0.
      ValueError: signal_to_noise is not in (0, 1).
      ValueError: shape has no axis of rows, or start another shape.
      ValueError: score_fn does not return the shape of x.
    Source: Song et al. 2021, algorithm 1; its corrector for α = 1, with expected norms for those of the batch.

    >>> from sandbox.score_matching.processes import by_level
    >>> drawn = predictor_corrector(jax.random.key(0), (1, 2), score_fn=lambda x, time: -x / (1 + time[:, None] ** 2),
    ...                             process=by_level(), times=np.array([2.0, 1.0, 0.1]))
    >>> drawn.path.shape
    (3, 1, 2)
    """
    times = require_falling("times", times)
    require_times(process, times)
    if not corrector_steps >= 0:
        raise ValueError(f"corrector_steps must be at least 0, got {corrector_steps}")
    if not 0 < signal_to_noise < 1:
        raise ValueError(f"signal_to_noise must be in (0, 1), got {signal_to_noise}")
    predict, correct = _predictor(process, times), _corrector(process, times[1:], signal_to_noise)
    every = [predict, *[correct] * corrector_steps]
    moves = Moves(*(jnp.stack(kind, axis=1).reshape(-1)[:len(kind[0]) * len(kind) - corrector_steps]
                    for kind in zip(*every)))
    ends = np.minimum(len(every) * np.arange(1, len(times)) - 1, len(moves.time) - 1)
    of_start, of_noise = jax.random.split(key)
    return walk(of_noise, begin(of_start, shape, process.level(jnp.asarray(times[0], float)), start),
                score_fn=score_fn, moves=moves, ends=ends)


def _predictor(process: Process, times: np.ndarray) -> Moves:
    h, at = jnp.asarray(times[:-1] - times[1:], float), jnp.asarray(times[:-1], float)
    f, g2 = drift_and_diffusion(process, at)
    return Moves(at, 1 - f * h, g2 * h, jnp.sqrt(g2 * h).at[-1].set(0))


def _corrector(process: Process, times: np.ndarray, signal_to_noise: float) -> Moves:
    at = jnp.asarray(times, float)
    reach = signal_to_noise * process.level(at)
    return Moves(at, jnp.ones_like(at), 2 * reach**2, 2 * reach)
