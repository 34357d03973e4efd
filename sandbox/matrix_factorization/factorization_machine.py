"""The Bayesian factorization machine by Gibbs sampling: ratings from ids, times and sets of ids."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sandbox.matrix_factorization import posterior
from sandbox.matrix_factorization.conjugate import (
    Gaussian,
    Hyperprior,
    by_row,
    draw_noise_precision,
    draw_prior,
    draw_rows,
    gram,
    rows_or_mean,
    squared_error,
)
from sandbox.matrix_factorization.fields import Data
from sandbox.matrix_factorization.model import rows
from sandbox.matrix_factorization.posterior import Kept, State
from sandbox.matrix_factorization.ragged import take
from sandbox.matrix_factorization.set_features import draw_set_prior
from sandbox.reductions import weighted_mean

__all__ = ["Sample", "State", "field_grams", "predict", "score", "start", "sweep"]


class Sample(NamedTuple):
    """One draw from the posterior; an entry per field in each tuple.

    mean (): μ, the mean training rating. tables: (R, D + 1), bias and factors of each value. priors: the
    Gaussians that they come from. set_precisions: λ () of each field's sets (0 where it has none).
    noise_precision (R,): τ of each value of the first field, in 1 / (rating units)².
    """

    mean: jax.Array
    tables: tuple[jax.Array, ...]
    priors: tuple[Gaussian, ...]
    set_precisions: tuple[jax.Array, ...]
    noise_precision: jax.Array


def start(key: jax.Array, data: Data, *, sizes: Sequence[int], rank: int, num_queries: int,
          num_kept: int = 32, scale: float = 0.1) -> State:
    """A chain before its first sweep.

    Args:
      key: PRNG key, for the whole chain.
      data: Data from `fields.pack_fields`.
      sizes: per field, R. rank: D. num_queries: T. num_kept: samples to keep for later questions.
      scale: standard deviation of the first factors.
    Returns:
      State.
    Raises:
      ValueError: rank or num_kept is below 1.

    >>> data = Data((), jnp.array([4.0, 2.0]), jnp.ones(2))
    >>> start(jax.random.key(0), data, sizes=[2], rank=3, num_queries=1).sample.tables[0].shape
    (2, 4)
    """
    for name, value in (("rank", rank), ("num_kept", num_kept)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    dtype = jnp.asarray(data.rating).dtype
    keys = jax.random.split(key, len(sizes))
    factors = [scale * jax.random.normal(k, (size, rank), dtype) for k, size in zip(keys, sizes, strict=True)]
    sample = Sample(
        mean=weighted_mean(jnp.asarray(data.rating), jnp.asarray(data.weight)),
        tables=tuple(jnp.pad(factor, ((0, 0), (1, 0))) for factor in factors),
        priors=tuple(Gaussian(jnp.zeros(rank + 1, dtype), jnp.eye(rank + 1, dtype=dtype)) for _ in sizes),
        set_precisions=tuple(jnp.zeros((), dtype) for _ in sizes),
        noise_precision=jnp.ones(sizes[0], dtype))
    return State(key, jnp.zeros((), jnp.int32), sample, posterior.empty_predictive(num_queries, dtype),
                 posterior.empty_kept(sample, num_kept))


def score(values: Sequence[jax.Array]) -> tuple[jax.Array, jax.Array]:
    r"""What one-hot fields add up to: Σ_f b_f + Σ_{f<g} v_fᵀ v_g, and the sum of their factors.

    Args:
      values: per field, (..., D + 1), the row [b_f, v_f] of its value.
    Returns:
      (...,) rating units; Σ_f v_f (..., D).
    Source: Rendle 2010, "Factorization machines", eq. 1.

    >>> score([jnp.array([1.0, 2.0]), jnp.array([0.5, 3.0]), jnp.array([0.0, 1.0])])  # 1.5 + 6 + 2 + 3
    (Array(12.5, dtype=float32), Array([6.], dtype=float32))
    """
    total, factors = values[0][..., 0], values[0][..., 1:]
    for value in values[1:]:
        total = total + value[..., 0] + jnp.sum(factors * value[..., 1:], axis=-1)
        factors = factors + value[..., 1:]
    return total, factors


def sweep(state: State, data: Data, queries: Sequence[jax.Array], *, hyperpriors: Sequence[Hyperprior],
          burn_in: int, thin: int = 1) -> tuple[State, dict[str, jax.Array]]:
    r"""One Gibbs sweep: every unknown drawn once from its law given all others.

    r ~ N(μ + Σ_f b_f + Σ_{f<g} v_fᵀ v_g, 1 / (w τ));   [b_f, v_f] ~ N(μ_f + Σ_{j in set} y_j / √n, Λ_f⁻¹).

    This is a factorization machine on one-hot fields and normalised sets. Write v_f = u_f + Σ_j y_j / √n:
    then v_fᵀ v_g holds every pair of one's own factors and sets with another field's own factors and sets,
    id with id, id with set, set with set. The pairs inside one field (an id with its own set, members of a
    set with each other) depend on that field's value alone, and are part of its bias. The set's weights y
    are integrated out, see `draw_set_prior`. τ belongs to the value of the first field.

    Given all other fields, the values of one are independent Bayesian regressions on [1, Σ_{g≠f} v_g].

    Args:
      state: State.
      data: Data from `fields.pack_fields`.
      queries: per field, (T,) ids, whose predictions are averaged from sweep `burn_in` on; an unknown id
        contributes nothing.
      hyperpriors: one per field; the first one's noise_shape is that of τ.
      burn_in: sweeps to forget. thin: keep every thin-th sample after them.
    Returns:
      State, and {"train_rmse": of this sample, in rating units; "noise_std": root mean variance 1 / τ}.
    Raises:
      ValueError: burn_in is negative or thin below 1, or there is not one hyperprior per field.
    Source: Rendle 2012, "Factorization machines with libFM" (Gibbs sampling); Salakhutdinov and Mnih 2008
      (whole rows at once); Simm et al. 2017 (sets as side information).

    >>> from sandbox.matrix_factorization.fields import pack_fields
    >>> ids = [np.array([0]), np.array([0])]
    >>> data = pack_fields(ids, np.array([4.0], np.float32), np.ones(1, np.float32), sizes=[1, 1])
    >>> state = start(jax.random.key(0), data, sizes=[1, 1], rank=1, num_queries=1)
    >>> sweep(state, data, ids, hyperpriors=[Hyperprior()] * 2, burn_in=0)[0].predictive.count
    Array(1, dtype=int32)
    """
    _check(data, hyperpriors, burn_in, thin)
    keys = jax.random.split(jax.random.fold_in(state.key, state.step), len(data.fields) + 1)
    sample = state.sample
    for number in range(1, len(data.fields)):
        sample, _ = _draw_field(keys[number], sample, data, number, hyperpriors[number])
    sample, grams = _draw_field(keys[0], sample, data, 0, hyperpriors[0])  # last: its errors give the noise
    errors = squared_error(grams, sample.tables[0])
    counts = jnp.zeros_like(sample.noise_precision).at[data.fields[0].ids].add(
        (data.weight > 0).astype(errors.dtype))
    noise_precision = draw_noise_precision(keys[-1], errors, counts, sample.noise_precision,
                                           shape=hyperpriors[0].noise_shape)
    sample = sample._replace(noise_precision=noise_precision)

    after = state.step - burn_in
    values = [rows(table, ids) for table, ids in zip(sample.tables, queries, strict=True)]
    predictive = posterior.add(state.predictive, sample.mean + score(values)[0],
                               rows(1 / noise_precision, queries[0]), after >= 0)
    kept = posterior.keep(state.kept, sample, (after >= 0) & (after % thin == 0))
    metrics = {"train_rmse": jnp.sqrt(jnp.sum(errors) / jnp.sum(data.weight)),
               "noise_std": jnp.sqrt(jnp.mean(1 / noise_precision))}
    return State(state.key, state.step + 1, sample, predictive, kept), metrics


def predict(kept: Kept, ids: Sequence[jax.Array]) -> tuple[jax.Array, jax.Array]:
    """Posterior mean and standard deviation of mean ratings, over the samples kept.

    Args:
      kept: of a State past its burn-in.
      ids: per field, (...,) integer ids, alike in shape; an unknown one is given the mean row of its field.
    Returns:
      Two of (...,), rating units, not clipped.

    >>> prior = Gaussian(jnp.array([[0.5, 0.0]]), jnp.eye(2)[None])
    >>> sample = Sample(jnp.array([3.5]), (jnp.zeros((1, 3, 2)),), (prior,), (jnp.zeros(1),), jnp.ones((1, 3)))
    >>> predict(Kept(jnp.array(1), sample), [jnp.array([0, -1])])[0]
    Array([3.5, 4. ], dtype=float32)
    """
    def one(sample):
        return sample.mean + score([rows_or_mean(table, column, prior) for table, column, prior
                                    in zip(sample.tables, ids, sample.priors, strict=True)])[0]

    return posterior.moments(kept, jax.vmap(one)(kept.samples))


def field_grams(sample: Sample, data: Data, number: int) -> jax.Array:
    """Gram matrices of one field's regressions on [1, Σ_{g≠f} v_g], given all other fields.

    Args:
      sample: Sample. data: Data. number: f.
    Returns:
      (R, D + 2, D + 2), weighted by w τ; the first field's by w alone, since τ is that of its row.

    >>> from sandbox.matrix_factorization.fields import pack_fields
    >>> data = pack_fields([np.array([0]), np.array([0])], jnp.array([4.0]), jnp.ones(1), sizes=[1, 1])
    >>> tables = jnp.array([[0.0, 1.0]]), jnp.array([[0.5, 2.0]])
    >>> field_grams(Sample(jnp.array(3.0), tables, (), (), jnp.ones(1)), data, 0)
    Array([[[1.  , 2.  , 0.5 ],
            [2.  , 4.  , 1.  ],
            [0.5 , 1.  , 0.25]]], dtype=float32)
    """
    field = data.fields[number]
    others = [(sample.tables[g], data.fields[g].ids) for g in range(len(data.fields)) if g != number]
    weight = data.weight if number == 0 else data.weight * sample.noise_precision[data.fields[0].ids]

    def one(block):
        known, factors = score([table[take(ids, block.entries)] for table, ids in others])
        regressors = jnp.concatenate([jnp.ones_like(known)[..., None], factors], axis=-1)
        target = take(data.rating, block.entries) - sample.mean - known
        return gram(regressors, target, take(weight, block.entries))

    return by_row([one(block) for block in field.blocks], field.blocks, sample.tables[number].shape[0])


def _draw_field(key, sample, data, number, hyperprior):
    """The rows of one field and what they come from; also its Gram matrices, without the first field's τ."""
    table, field = sample.tables[number], data.fields[number]
    prior_key, key = jax.random.split(key)
    if field.sets is None:
        prior, set_precision = draw_prior(prior_key, table, hyperprior), sample.set_precisions[number]
        mean = jnp.broadcast_to(prior.mean[None], table.shape)
    else:
        prior, mean, set_precision = draw_set_prior(prior_key, table, field.sets, sample.priors[number],
                                                    hyperprior)
    grams = field_grams(sample, data, number)
    noise = sample.noise_precision[:, None, None] if number == 0 else 1.0
    table = draw_rows(key, noise * grams, mean, prior.precision)
    sample = sample._replace(
        tables=_put(sample.tables, number, table), priors=_put(sample.priors, number, prior),
        set_precisions=_put(sample.set_precisions, number, set_precision))
    return sample, grams


def _put(items, number, item):
    return (*items[:number], item, *items[number + 1:])


def _check(data, hyperpriors, burn_in, thin):
    if len(hyperpriors) != len(data.fields):
        raise ValueError(f"hyperpriors must be one per field, {len(data.fields)}, got {len(hyperpriors)}")
    if burn_in < 0:
        raise ValueError(f"burn_in must not be negative, got {burn_in}")
    if thin < 1:
        raise ValueError(f"thin must be at least 1, got {thin}")
