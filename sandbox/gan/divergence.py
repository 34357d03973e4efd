"""A game that runs away stands still where it last made sense, and says who ran, when, and how fast."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sandbox.tracing import is_concrete
from sandbox.training import all_finite

__all__ = ["DISCRIMINATOR", "GENERATOR", "NEITHER", "Watched", "halted", "watched"]

NEITHER, GENERATOR, DISCRIMINATOR = 0, 1, 2


class Watched(NamedTuple):
    """state: of a game, or the last one before it diverged. step: () int32, steps done or stood through. diverged_at:
    () int32, the first step that it did not take; 0 while it goes on. by: GENERATOR or DISCRIMINATOR, whose gradient
    ran away, or NEITHER. field_norm: of that gradient then, the largest number there is where it was not finite."""

    state: Any
    step: jax.Array
    diverged_at: jax.Array
    by: jax.Array
    field_norm: jax.Array


def watched(state: Any) -> Watched:
    """A game at its beginning.

    >>> int(watched(jnp.zeros(2)).diverged_at)
    0
    """
    step, diverged_at, by = (jnp.zeros((), jnp.int32) for _ in range(3))  # each its own: a run's state is donated
    return Watched(state, step, diverged_at, by, jnp.zeros(()))


def halted(step: Callable[..., tuple[Any, dict[str, jax.Array]]], *, limit: float
           ) -> Callable[..., tuple[Watched, dict[str, jax.Array]]]:
    """The same step, which is taken no more once the field's norm passes a limit or anything is not finite.

    The discriminator is the one who ran where both norms passed; neither, where another number is not finite.

    Args:
      step: (state, *data) -> (state, metrics), metrics by name with generator_field_norm and
        discriminator_field_norm; see `game_step`. limit: of either norm, above 0.
    Returns:
      step(Watched, *data) -> (Watched, metrics), whose metrics are 0 once it has halted.
    Raises:
      ValueError: limit is not above 0.

    >>> def grow(x): return 10 * x, {"generator_field_norm": 10 * x, "discriminator_field_norm": x}
    >>> step, end = halted(grow, limit=50.0), watched(jnp.array(1.0))
    >>> for _ in range(4): end, _ = step(end)
    >>> float(end.state), int(end.diverged_at), int(end.by) == GENERATOR, float(end.field_norm)
    (10.0, 2, True, 100.0)
    """
    if is_concrete(limit) and not limit > 0:
        raise ValueError(f"limit must be above 0, got {limit}")

    def both(before: Watched, *data) -> tuple[Watched, Any]:
        state, metrics = step(before.state, *data)
        norms = metrics["generator_field_norm"], metrics["discriminator_field_norm"]
        generator_runs, discriminator_runs = (~(norm <= limit) for norm in norms)  # of NaN, too
        runs = generator_runs | discriminator_runs | ~all_finite((state, metrics))
        stands = before.diverged_at > 0
        by = jnp.where(discriminator_runs, DISCRIMINATOR, jnp.where(generator_runs, GENERATOR, NEITHER))
        norm = jnp.where(discriminator_runs, norms[1], jnp.where(generator_runs, norms[0], 0.0))
        norm = jnp.nan_to_num(norm.astype(before.field_norm.dtype), nan=jnp.finfo(before.field_norm.dtype).max)
        now, first = runs | stands, runs & ~stands
        kept = jax.tree.map(lambda old, new: jnp.where(now, old, new), before.state, state)
        after = Watched(kept, before.step + 1, jnp.where(first, before.step + 1, before.diverged_at),
                        jnp.where(first, by, before.by), jnp.where(first, norm, before.field_norm))
        return after, jax.tree.map(lambda value: jnp.where(now, jnp.zeros_like(value), value), metrics)

    return both
