"""Bayesian matrix factorization by Gibbs sampling: the posterior's mean and spread, not one best fit."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sandbox.matrix_factorization import model, posterior
from sandbox.matrix_factorization.als import Data
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
from sandbox.matrix_factorization.model import Params, Ratings
from sandbox.matrix_factorization.posterior import Kept, State
from sandbox.matrix_factorization.ragged import Block, take
from sandbox.reductions import weighted_mean

__all__ = ["Pairs", "Sample", "State", "fold_in", "predict", "side_grams", "start", "sweep"]


class Pairs(NamedTuple):
    """T user-item pairs whose ratings are asked for: user, item (T,) ids."""

    user: jax.Array
    item: jax.Array


class Sample(NamedTuple):
    """One draw from the posterior.

    params: its μ stays at the mean training rating. users, items: the Gaussians that [b_u, p_u] and
    [b_i, q_i] come from, in D + 1 coordinates. noise_precision (U,): τ_u, in 1 / (rating units)².
    """

    params: Params
    users: Gaussian
    items: Gaussian
    noise_precision: jax.Array


def start(key: jax.Array, data: Data, *, num_users: int, num_items: int, rank: int, num_pairs: int,
          num_kept: int = 32, scale: float = 0.1) -> State:
    """A chain before its first sweep.

    Args:
      key: PRNG key, for the whole chain.
      data: Data from `als.pack_ratings`, floating ratings.
      num_users, num_items, rank: U, I, D. num_pairs: T. num_kept: samples to keep for later questions.
      scale: standard deviation of the first factors.
    Returns:
      State.
    Raises:
      ValueError: a size is below 1.

    >>> data = Data(model.Ratings(jnp.array([0]), jnp.array([0]), jnp.array([4.0]), jnp.ones(1)), (), ())
    >>> start(jax.random.key(0), data, num_users=3, num_items=2, rank=1, num_pairs=5).sample.params.mean
    Array(4., dtype=float32)
    """
    if num_kept < 1:
        raise ValueError(f"num_kept must be at least 1, got {num_kept}")
    ratings = data.ratings
    dtype = jnp.asarray(ratings.rating).dtype
    mean = weighted_mean(jnp.asarray(ratings.rating), jnp.asarray(ratings.weight))
    params = model.init(key, num_users=num_users, num_items=num_items, rank=rank, mean=mean, scale=scale,
                        dtype=dtype)
    users, items = (Gaussian(jnp.zeros(rank + 1, dtype), jnp.eye(rank + 1, dtype=dtype)) for _ in range(2))
    sample = Sample(params, users, items, jnp.ones(num_users, dtype))
    return State(key, jnp.zeros((), jnp.int32), sample, posterior.empty_predictive(num_pairs, dtype),
                 posterior.empty_kept(sample, num_kept))


def sweep(state: State, data: Data, pairs: Pairs, *, burn_in: int, thin: int = 1,
          hyperprior: Hyperprior = Hyperprior()) -> tuple[State, dict[str, jax.Array]]:  # noqa: B008
    r"""One Gibbs sweep: every unknown drawn once from its law given all others.

    r_ui ~ N(μ + b_u + b_i + q_iᵀ p_u, 1 / (w τ_u));  [b_u, p_u] and [b_i, q_i] Gaussian, their mean and
    precision normal-Wishart; τ_u gamma: some people rate more consistently than others.

    Given the items, users are independent Bayesian linear regressions on [1, q_i]: drawn together, as rows
    of a ragged matrix. What is drawn depends on the key and the number of sweeps done, and on nothing else.

    Args:
      state: State.
      data: Data from `als.pack_ratings`; ratings of weight 0 change nothing.
      pairs: whose predictions are averaged, from sweep `burn_in` on. An id that the model does not know
        contributes nothing.
      burn_in: sweeps to forget. thin: keep every thin-th sample after them.
      hyperprior: see Hyperprior.
    Returns:
      State, and {"train_rmse": of this sample, in rating units; "noise_std": root mean variance 1 / τ}.
    Raises:
      ValueError: burn_in is negative or thin below 1.
    Source: Salakhutdinov and Mnih 2008, "Bayesian probabilistic matrix factorization using MCMC".

    >>> from sandbox.matrix_factorization import als
    >>> ratings = model.Ratings(np.array([0]), np.array([0]), np.array([4.0], np.float32), np.ones(1, np.float32))
    >>> data = als.pack_ratings(ratings, num_users=1, num_items=1)
    >>> state = start(jax.random.key(0), data, num_users=1, num_items=1, rank=1, num_pairs=1)
    >>> sweep(state, data, Pairs(np.array([0]), np.array([0])), burn_in=0)[0].predictive.count
    Array(1, dtype=int32)
    """
    if burn_in < 0:
        raise ValueError(f"burn_in must not be negative, got {burn_in}")
    if thin < 1:
        raise ValueError(f"thin must be at least 1, got {thin}")
    keys = jax.random.split(jax.random.fold_in(state.key, state.step), 5)
    ratings, noise_precision = data.ratings, state.sample.noise_precision
    mean, users, items = _tables(state.sample.params)

    user_prior = draw_prior(keys[0], users, hyperprior)
    grams = side_grams(data.by_user, ratings, mean, ratings.item, items, ratings.weight, users.shape[0])
    users = draw_rows(keys[1], noise_precision[:, None, None] * grams,
                      jnp.broadcast_to(user_prior.mean[None], users.shape), user_prior.precision)

    errors = squared_error(grams, users)
    counts = jnp.zeros_like(noise_precision).at[ratings.user].add((ratings.weight > 0).astype(mean.dtype))
    noise_precision = draw_noise_precision(keys[2], errors, counts, noise_precision,
                                           shape=hyperprior.noise_shape)

    item_prior = draw_prior(keys[3], items, hyperprior)
    weight = ratings.weight * noise_precision[ratings.user]
    grams = side_grams(data.by_item, ratings, mean, ratings.user, users, weight, items.shape[0])
    items = draw_rows(keys[4], grams, jnp.broadcast_to(item_prior.mean[None], items.shape),
                      item_prior.precision)

    params = Params(mean, users[:, 0], items[:, 0], users[:, 1:], items[:, 1:])
    sample = Sample(params, user_prior, item_prior, noise_precision)
    after = state.step - burn_in
    predictive = posterior.add(state.predictive, model.predict(params, pairs.user, pairs.item),
                               model.rows(1 / noise_precision, pairs.user), after >= 0)
    kept = posterior.keep(state.kept, sample, (after >= 0) & (after % thin == 0))
    metrics = {"train_rmse": jnp.sqrt(jnp.sum(errors) / jnp.sum(ratings.weight)),
               "noise_std": jnp.sqrt(jnp.mean(1 / noise_precision))}
    return State(state.key, state.step + 1, sample, predictive, kept), metrics


def predict(kept: Kept, user: jax.Array, item: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Posterior mean and standard deviation of mean ratings, over the samples kept.

    Args:
      kept: of a State past its burn-in.
      user, item: (...,) integer ids, broadcast together; an unknown id is given the mean row of its side.
    Returns:
      Two of (...,), rating units, not clipped.

    >>> prior = Gaussian(jnp.array([[0.5, 0.0]]), jnp.eye(2)[None])
    >>> params = model.init(jax.random.key(0), num_users=3, num_items=2, rank=1, mean=3.5, scale=0.0)
    >>> sample = Sample(jax.tree.map(lambda leaf: leaf[None], params), prior, prior, jnp.ones((1, 3)))
    >>> predict(Kept(jnp.array(1), sample), jnp.array([0, -1]), jnp.array([0, 0]))[0]
    Array([3.5, 4. ], dtype=float32)
    """
    def one(sample):
        mean, users, items = _tables(sample.params)
        users, items = rows_or_mean(users, user, sample.users), rows_or_mean(items, item, sample.items)
        return mean + _score(users, items)

    return posterior.moments(kept, jax.vmap(one)(kept.samples))


def fold_in(key: jax.Array, kept: Kept, item: jax.Array, rating: jax.Array, weight: jax.Array,
            ask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Posterior mean and standard deviation of a new user's mean ratings, without running the chain again.

    In each kept sample [b, p] is drawn given the ratings, the items and the noise of an average user.

    Args:
      key: PRNG key.
      kept: of a State past its burn-in.
      item: (N,) ids of the items rated. rating: (N,) rating units. weight: (N,), 0 for padding.
      ask: (T,) ids of the items asked about; an unknown one is given the mean row.
    Returns:
      Two of (T,), rating units, not clipped.

    >>> prior = Gaussian(jnp.zeros((1, 2)), 1e-6 * jnp.eye(2)[None])
    >>> params = model.init(jax.random.key(0), num_users=1, num_items=2, rank=1, mean=3.5, scale=0.0)
    >>> sample = Sample(jax.tree.map(lambda leaf: leaf[None], params), prior, prior, 1e9 * jnp.ones((1, 1)))
    >>> fold_in(jax.random.key(0), Kept(jnp.array(1), sample), jnp.array([0]), jnp.array([5.0]), jnp.ones(1),
    ...         jnp.array([1]))[0].round(2)
    Array([5.], dtype=float32)
    """
    def one(key, sample):
        mean, _, items = _tables(sample.params)
        rated = rows_or_mean(items, item, sample.items)
        precision = weight * jnp.mean(sample.noise_precision)
        grams = _regression(rated[None], (rating - mean)[None], precision[None])
        user = draw_rows(key, grams, sample.users.mean[None], sample.users.precision)
        return mean + _score(user, rows_or_mean(items, ask, sample.items))

    keys = jax.random.split(key, kept.samples.noise_precision.shape[0])
    return posterior.moments(kept, jax.vmap(one)(keys, kept.samples))


def _tables(params):
    users = jnp.concatenate([params.user_bias[:, None], params.user_factors], axis=1)
    items = jnp.concatenate([params.item_bias[:, None], params.item_factors], axis=1)
    return params.mean, users, items


def _score(users, items):
    return users[..., 0] + items[..., 0] + jnp.sum(users[..., 1:] * items[..., 1:], axis=-1)


def side_grams(blocks: Sequence[Block], ratings: Ratings, mean: jax.Array, other: jax.Array, table: jax.Array,
               weight: jax.Array, num_rows: int) -> jax.Array:
    """Gram matrices of one side's regressions on the other side's rows.

    Args:
      blocks: the ratings grouped by row of this side. ratings: Ratings of N entries; mean: μ.
      other: (N,) ids of the other side. table: (C, D + 1) its rows, bias first.
      weight: (N,) what multiplies each squared error. num_rows: R.
    Returns:
      (R, D + 2, D + 2).

    >>> ratings = Ratings(jnp.array([0]), jnp.array([0]), jnp.array([4.0]), jnp.ones(1))
    >>> blocks = [Block(jnp.array([0]), jnp.array([[0, 1]]))]
    >>> side_grams(blocks, ratings, 3.0, ratings.item, jnp.array([[0.5, 2.0]]), ratings.weight, 1)
    Array([[[1.  , 2.  , 0.5 ],
            [2.  , 4.  , 1.  ],
            [0.5 , 1.  , 0.25]]], dtype=float32)
    """
    def one(block):
        target = take(ratings.rating, block.entries) - mean
        return _regression(table[take(other, block.entries)], target, take(weight, block.entries))

    return by_row([one(block) for block in blocks], blocks, num_rows)


def _regression(others, target, weight):
    """Regress on [1, factors]; the other side's bias is part of what is already explained."""
    regressors = jnp.concatenate([jnp.ones_like(others[..., :1]), others[..., 1:]], axis=-1)
    return gram(regressors, target - others[..., 0], weight)
