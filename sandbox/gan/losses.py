"""The two losses of a GAN, each player's parameters first, with penalties on how steep the discriminator is."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sandbox.gan.criteria import NON_SATURATING, Criterion
from sandbox.reductions import weighted_mean
from sandbox.tracing import is_concrete

__all__ = ["DiscriminatorAux", "GeneratorAux", "Pairs", "discriminator_loss", "generator_loss"]


class Pairs(NamedTuple):
    """Real samples and what fake ones are made of, in pairs.

    real: (N, *shape) floating. latents: (N, L) floating. mix: (N,) in [0, 1], where between a real sample (0) and its
    fake one (1) a gradient penalty looks at the slope. weights: (N,) >= 0, 0 for padding. conditions: arrays (N, ...),
    labels say, that both networks take after their input.
    """

    real: jax.Array
    latents: jax.Array
    mix: jax.Array
    weights: jax.Array
    conditions: tuple[jax.Array, ...] = ()


class DiscriminatorAux(NamedTuple):
    """Diagnostics, (N,) each: logits; ‖∇D‖² at the real and at the fake samples, and ‖∇D‖ between them, by the input;
    None for a slope that no penalty asked for."""

    real_logits: jax.Array
    fake_logits: jax.Array
    real_squared_slopes: jax.Array | None
    fake_squared_slopes: jax.Array | None
    slopes_between: jax.Array | None


class GeneratorAux(NamedTuple):
    """Diagnostics, (N,) each: logits of the real and of the fake samples."""

    real_logits: jax.Array
    fake_logits: jax.Array


def discriminator_loss(params: Any, batch: Pairs, *, opponent: Any, generate: Callable[..., jax.Array],
                       discriminate: Callable[..., jax.Array], criterion: Criterion = NON_SATURATING,
                       r1: float | jax.Array = 0.0, r2: float | jax.Array = 0.0,
                       gradient_penalty: float | jax.Array = 0.0, held: bool = True
                       ) -> tuple[jax.Array, DiscriminatorAux]:
    """What the discriminator minimises: its criterion, and penalties on its slope by the input.

    L = E[c(D(x), D(x̃)) + γ₁/2 ‖∇D(x)‖² + γ₂/2 ‖∇D(x̃)‖² + λ (‖∇D(x̂)‖ − 1)²],   x̃ = G(z),   x̂ = x + m (x̃ − x).

    E is the mean by weights. D is to look at each sample by itself. Where ‖∇D(x̂)‖ is 0 its gradient is taken as 0.

    Args:
      params: of discriminate. batch: Pairs; a row of weight 0 may hold anything. opponent: params of generate.
      generate: (params, latents, *conditions) -> (N, *shape).
      discriminate: (params, samples, *conditions) -> logits, one a row.
      criterion: c, see CRITERIA.
      r1, r2, gradient_penalty: γ₁, γ₂, λ >= 0, or traced scalars, which are taken as they are. For the number 0 nothing
        is computed.
      held: whether the opponent stands still; if not, the loss can be differentiated by the opponent too.
    Returns:
      Scalar, DiscriminatorAux.
    Raises:
      ValueError: the batch has no row.
      ValueError: latents, mix, weights and conditions do not have the rows of real.
      ValueError: latents are not (N, L), L at least 1.
      TypeError: real, latents or mix are not floating.
      ValueError: r1, r2 or gradient_penalty is below 0.
      ValueError: generate does not return samples of real's shape.
      ValueError: discriminate does not return one logit a row.
    Source: Mescheder, Geiger, Nowozin 2018, "Which training methods for GANs do actually converge?", eq. 9 and 10;
      Gulrajani et al. 2017, "Improved training of Wasserstein GANs", eq. 3.

    >>> batch = Pairs(jnp.ones((1, 2)), jnp.ones((1, 2)), jnp.zeros(1), jnp.ones(1))
    >>> value, aux = discriminator_loss(jnp.array([3.0, 4.0]), batch, opponent=0.0, r1=0.1,
    ...                                 generate=lambda scale, z: scale * z, discriminate=lambda slope, x: x @ slope)
    >>> round(float(value), 4), aux.real_squared_slopes, aux.fake_logits
    (1.9441, Array([25.], dtype=float32), Array([0.], dtype=float32))
    """
    _check_batch(batch)
    r1_asked, r2_asked = _asked("r1", r1), _asked("r2", r2)
    between_asked = _asked("gradient_penalty", gradient_penalty)
    batch = _real(batch)
    fake = _samples(jax.lax.stop_gradient(opponent) if held else opponent, batch, generate)
    places = [(batch.real, r1_asked), (fake, r2_asked)]
    if between_asked:
        places.append((_between(batch.real, fake, batch.mix), True))
    (real_logits, real_squares), (fake_logits, fake_squares), *between = _seen(params, places, batch.conditions,
                                                                               discriminate)
    values, norms = criterion.discriminator(real_logits, fake_logits), None
    if real_squares is not None:
        values += r1 / 2 * real_squares
    if fake_squares is not None:
        values += r2 / 2 * fake_squares
    if between:
        norms = _root(between[0][1])
        values += gradient_penalty * (norms - 1) ** 2
    return (weighted_mean(values, batch.weights),
            DiscriminatorAux(real_logits, fake_logits, real_squares, fake_squares, norms))


def generator_loss(params: Any, batch: Pairs, *, opponent: Any, generate: Callable[..., jax.Array],
                   discriminate: Callable[..., jax.Array], criterion: Criterion = NON_SATURATING, held: bool = True
                   ) -> tuple[jax.Array, GeneratorAux]:
    """What the generator minimises: E[c(D(x), D(x̃))], x̃ = G(z), E the mean by weights.

    Args:
      params: of generate. batch: Pairs; a row of weight 0 may hold anything. opponent: params of discriminate.
      generate, discriminate, criterion, held: see `discriminator_loss`.
    Returns:
      Scalar, GeneratorAux.
    Raises:
      ValueError: the batch has no row.
      ValueError: latents, mix, weights and conditions do not have the rows of real.
      ValueError: latents are not (N, L), L at least 1.
      TypeError: real, latents or mix are not floating.
      ValueError: generate does not return samples of real's shape.
      ValueError: discriminate does not return one logit a row.
    Source: Goodfellow et al. 2014, "Generative adversarial nets".

    >>> batch = Pairs(jnp.ones((1, 2)), jnp.ones((1, 2)), jnp.zeros(1), jnp.ones(1))
    >>> value, aux = generator_loss(2.0, batch, opponent=jnp.array([3.0, -3.0]),
    ...                             generate=lambda scale, z: scale * z, discriminate=lambda slope, x: x @ slope)
    >>> value
    Array(0.6931472, dtype=float32)
    """
    _check_batch(batch)
    batch = _real(batch)
    opponent = jax.lax.stop_gradient(opponent) if held else opponent
    fake = _samples(params, batch, generate)
    # Apart, so that nothing goes back through the real half, nor forward where the criterion does not ask for it.
    real_logits = _logits(discriminate, opponent, batch.real, batch.conditions)
    fake_logits = _logits(discriminate, opponent, fake, batch.conditions)
    value = weighted_mean(criterion.generator(real_logits, fake_logits), batch.weights)
    return value, GeneratorAux(real_logits, fake_logits)


def _seen(params: Any, places: Sequence[tuple[jax.Array, bool]], conditions: tuple[jax.Array, ...],
          discriminate: Callable[..., jax.Array]) -> list[tuple[jax.Array, jax.Array | None]]:
    """Logits and, where asked for, ‖∇D‖² at each of the places: one pass for those with, one for those without."""
    found = {}
    for sloped in (False, True):
        chosen = [k for k, (_, asked) in enumerate(places) if asked is sloped]
        if chosen:
            samples = jnp.concatenate([places[k][0] for k in chosen])
            repeated = tuple(jnp.concatenate([condition] * len(chosen)) for condition in conditions)
            logits, squares = _look(params, samples, repeated, discriminate, sloped)
            parts = [None] * len(chosen) if squares is None else jnp.split(squares, len(chosen))
            found |= dict(zip(chosen, zip(jnp.split(logits, len(chosen)), parts)))
    return [found[k] for k in range(len(places))]


def _look(params: Any, samples: jax.Array, conditions: tuple[jax.Array, ...], discriminate: Callable[..., jax.Array],
          sloped: bool) -> tuple[jax.Array, jax.Array | None]:
    if not sloped:
        return _logits(discriminate, params, samples, conditions), None
    logits, pull = jax.vjp(lambda x: _logits(discriminate, params, x, conditions), samples)
    slopes, = pull(jnp.ones_like(logits))
    return logits, jnp.sum(slopes**2, axis=tuple(range(1, slopes.ndim)))


def _between(real: jax.Array, fake: jax.Array, mix: jax.Array) -> jax.Array:
    return real + mix.reshape(-1, *[1] * (real.ndim - 1)) * (fake - real)


def _samples(params: Any, batch: Pairs, generate: Callable[..., jax.Array]) -> jax.Array:
    fake = generate(params, batch.latents, *batch.conditions)
    if fake.shape != batch.real.shape:
        raise ValueError(f"generate must return samples of the shape of real, {batch.real.shape}, got {fake.shape}")
    return fake


def _logits(discriminate: Callable[..., jax.Array], params: Any, samples: jax.Array,
            conditions: tuple[jax.Array, ...]) -> jax.Array:
    logits = discriminate(params, samples, *conditions)
    if logits.shape != samples.shape[:1]:
        raise ValueError(f"discriminate must return one logit a row, {samples.shape[:1]}, got {logits.shape}")
    return logits


def _root(squares: jax.Array) -> jax.Array:
    """√s, with a derivative of 0 at 0."""
    flat = squares == 0  # and not whatever is not above 0, which would hide NaN
    return jnp.where(flat, 0, jnp.sqrt(jnp.where(flat, 1, squares)))


def _asked(name: str, weight: Any) -> bool:
    """Whether there is a penalty to compute."""
    if is_concrete(weight) and not weight >= 0:
        raise ValueError(f"{name} must be at least 0, got {weight}")
    return not (isinstance(weight, (int, float)) and weight == 0)


def _check_batch(batch: Pairs) -> None:
    real, latents, mix, weights, conditions = batch
    if real.shape[:1] == (0,):
        raise ValueError(f"a batch must have a row or more, got real {real.shape}")
    rows = real.shape[:1]
    others = [latents.shape[:1], mix.shape, weights.shape, *(condition.shape[:1] for condition in conditions)]
    if not rows or any(other != rows for other in others):
        shapes = [mix.shape, weights.shape, *(condition.shape for condition in conditions)]
        raise ValueError(f"latents, mix, weights and conditions must have the rows of real, {real.shape}, got "
                         f"{', '.join(str(shape) for shape in (latents.shape, *shapes))}")
    if latents.ndim != 2 or latents.shape[1] == 0:
        raise ValueError(f"latents must be (N, L) with L of at least 1, got {latents.shape}")
    for name, values in (("real", real), ("latents", latents), ("mix", mix)):
        if not jnp.issubdtype(values.dtype, jnp.floating):
            raise TypeError(f"{name} must be floating, got {values.dtype}")


def _real(batch: Pairs) -> Pairs:
    """The batch with 0 for whatever padding holds: its gradient would be 0 times that, which of NaN is NaN."""
    real = batch.weights > 0
    return jax.tree.map(lambda leaf: jnp.where(real.reshape(-1, *[1] * (leaf.ndim - 1)), leaf, jnp.zeros_like(leaf)),
                        batch)
