"""The sampler against a NumPy loop, against its own prior (Geweke), and on data whose truth is known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sandbox.matrix_factorization import als, gibbs, model, posterior
from sandbox.matrix_factorization.conjugate import Gaussian, Hyperprior
from sandbox.matrix_factorization.model import Ratings

U, I, D, N = 12, 10, 2, 80
PAIRS = gibbs.Pairs(np.array([0, 3, 5]), np.array([1, 2, 9]))
ROOM = (((8, U + 3), (16, U)), ((8, I + 3), (16, I)))  # one layout: one compilation
STEP = jax.jit(functools.partial(gibbs.sweep, burn_in=2, thin=2))


def some_ratings(seed=0, count=60, dtype=np.float32):
    rng = np.random.default_rng(seed)
    cells = rng.choice(U * I, count, replace=False)
    return Ratings((cells // I).astype(np.int32), (cells % I).astype(np.int32),
                   rng.integers(1, 6, count).astype(dtype), rng.uniform(0.5, 2.0, count).astype(dtype))


def pack(ratings, padding=0):
    """The ratings with N - count rows of weight 0 whose ids are `padding`."""
    missing = N - len(ratings.user)
    user, item = (np.append(ids, np.full(missing, padding, ids.dtype)) for ids in ratings[:2])
    rating, weight = (np.append(values, np.zeros(missing, values.dtype)) for values in ratings[2:])
    return als.pack_ratings(Ratings(user, item, rating, weight), num_users=U, num_items=I, shapes=ROOM)


def start(data, key=0, **keywords):
    sizes = {"num_users": U, "num_items": I, "rank": D, "num_pairs": 3, "num_kept": 4, **keywords}
    return gibbs.start(jax.random.key(key), data, **sizes)


def run(state, data, sweeps):
    for _ in range(sweeps):
        state, _ = STEP(state, data, PAIRS)
    return state


def assert_same(one, two):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("float64")
def test_normal_equations_are_those_of_a_loop_over_the_ratings():
    ratings = some_ratings(dtype=np.float64)
    data, items = pack(ratings), np.random.default_rng(1).normal(size=(I, D + 1))
    grams = gibbs.side_grams(data.by_user, data.ratings, 3.5, data.ratings.item, jnp.asarray(items),
                             data.ratings.weight, U)
    expected = np.zeros((U, D + 2, D + 2))
    for user, item, rating, weight in zip(*ratings, strict=True):
        z = np.array([1.0, *items[item, 1:], rating - 3.5 - items[item, 0]])
        expected[user] += weight * np.outer(z, z)
    np.testing.assert_allclose(grams, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
def test_sweeps_leave_the_prior_as_it_is():
    """Unknowns from the prior, ratings given them, sweeps given the ratings: still draws from the prior.

    2,000 independent chains; a Kolmogorov-Smirnov test of each of nine functions of the unknowns, at level
    1e-4 in all: that is how often a right sampler would fail for another key.
    """
    users, items, rank, replicates = 4, 3, 1, 2_000
    hyper = Hyperprior(mean_strength=3.0, extra_degrees=6, scale=2.0, noise_shape=4.0)
    user, item = (ids.ravel().astype(np.int32) for ids in np.mgrid[:users, :items])
    blank = Ratings(user, item, np.zeros(12), np.ones(12))
    blocks = als.pack_ratings(blank, num_users=users, num_items=items)

    def draw_side(key, size):
        keys = jax.random.split(key, 3)
        normal = jax.random.normal(keys[0], (2 + 6, 2)) / np.sqrt(2.0)  # Wishart(8, I / 2) by its definition
        precision = normal.T @ normal
        root = jnp.linalg.cholesky(jnp.linalg.inv(precision))
        mean = root @ jax.random.normal(keys[1], (2,)) / np.sqrt(3.0)
        rows = mean[None] + jax.random.normal(keys[2], (size, 2)) @ root.T
        return Gaussian(mean, precision), rows

    def draw(key):
        keys = jax.random.split(key, 4)
        user_prior, p = draw_side(keys[0], users)
        item_prior, q = draw_side(keys[1], items)
        noise = jax.random.gamma(keys[2], 4.0, (users,)) / jax.random.exponential(keys[3])
        params = model.Params(jnp.array(3.0), p[:, 0], q[:, 0], p[:, 1:], q[:, 1:])
        return gibbs.Sample(params, user_prior, item_prior, noise)

    def after_sweeps(key):
        keys = jax.random.split(key, 3)
        sample = draw(keys[0])
        noise = jax.random.normal(keys[1], (12,)) / jnp.sqrt(sample.noise_precision[user])
        rating = model.predict(sample.params, user, item) + noise
        data = blocks._replace(ratings=blank._replace(rating=rating))
        state = gibbs.start(keys[2], data, num_users=users, num_items=items, rank=rank, num_pairs=1,
                            num_kept=1)
        state = state._replace(sample=sample)
        pair = gibbs.Pairs(jnp.array([0]), jnp.array([0]))
        step = functools.partial(gibbs.sweep, burn_in=0, hyperprior=hyper)
        return jax.lax.scan(lambda c, _: step(c, data, pair), state, length=4)[0].sample

    def functions(sample):
        params = sample.params
        return jnp.stack([
            params.user_bias[0], params.item_bias[0], params.user_factors[0, 0], params.item_factors[0, 0],
            jnp.sum(params.user_factors[0] * params.item_factors[0]), jnp.log(sample.noise_precision[0]),
            jnp.std(jnp.log(sample.noise_precision)), sample.users.mean[0], jnp.std(params.item_bias)])

    keys = jax.random.split(jax.random.key(7), 2)
    before = jax.jit(jax.vmap(lambda k: functions(draw(k))))(jax.random.split(keys[0], replicates))
    after = jax.jit(jax.vmap(lambda k: functions(after_sweeps(k))))(jax.random.split(keys[1], replicates))
    p_values = [stats.ks_2samp(a, b).pvalue for a, b in zip(before.T, after.T, strict=True)]
    assert min(p_values) > 1e-4 / len(p_values), p_values


def test_it_reaches_the_noise_floor_and_knows_its_error():
    users, items, noise = 80, 60, 0.5
    rng = np.random.default_rng(3)
    mean = 3 + rng.normal(size=(users, 2)) @ rng.normal(size=(2, items)) * 0.5
    user, item = (ids.ravel().astype(np.int32) for ids in np.mgrid[:users, :items])
    rating = (mean.ravel() + noise * rng.normal(size=mean.size)).astype(np.float32)
    train = rng.random(mean.size) < 0.5
    ratings = Ratings(user[train], item[train], rating[train], np.ones(train.sum(), np.float32))
    data = als.pack_ratings(ratings, num_users=users, num_items=items)
    pairs = gibbs.Pairs(user[~train], item[~train])
    state = gibbs.start(jax.random.key(0), data, num_users=users, num_items=items, rank=3,
                        num_pairs=len(pairs.user))
    step = functools.partial(gibbs.sweep, burn_in=50)
    state, metrics = jax.jit(lambda s: jax.lax.scan(lambda c, _: step(c, data, pairs), s, length=150))(state)
    error = state.predictive.mean - rating[~train]
    rmse = np.sqrt(np.mean(error**2))
    assert noise * 0.97 < rmse < noise * 1.15
    z = error / posterior.std(state.predictive, of_rating=True)
    assert 0.9 < np.mean(z**2) < 1.1  # calibrated
    assert abs(np.mean(metrics["noise_std"][50:]) - noise) < 0.05
    kept_mean, kept_std = gibbs.predict(state.kept, pairs.user, pairs.item)
    assert np.sqrt(np.mean((kept_mean - state.predictive.mean) ** 2)) < 0.1
    assert np.mean(kept_std) > 0
    mine, asked = user[train] == 0, jnp.arange(items)  # a known user, met again as a new one
    again, _ = gibbs.fold_in(jax.random.key(1), state.kept, item[train][mine], rating[train][mine],
                             jnp.ones(mine.sum()), asked)
    before, _ = gibbs.predict(state.kept, jnp.zeros(items, int), asked)
    assert np.sqrt(np.mean((again - before) ** 2)) < 0.2


def test_ratings_of_weight_zero_change_nothing():
    ratings = some_ratings()
    one, other = pack(ratings), pack(ratings, padding=7)
    other.ratings.rating[len(ratings.user):] = np.nan
    assert_same(run(start(one), one, 3), run(start(other), other, 3))


def test_padding_rows_change_nothing():
    ratings = some_ratings()
    data = pack(ratings)
    tight = als.pack_ratings(data.ratings, num_users=U, num_items=I)
    samples = [run(start(packed), packed, 2).sample for packed in (data, tight)]
    for one, other in zip(*map(jax.tree.leaves, samples), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_the_same_key_gives_the_same_bits_and_so_does_a_chain_in_two_parts():
    data = pack(some_ratings())
    whole = run(start(data), data, 6)
    stored = jax.tree.map(jnp.copy, run(start(data), data, 3))
    assert_same(whole, run(stored, data, 3))
    other = run(start(data, key=1), data, 6)
    assert not np.array_equal(whole.sample.params.user_bias, other.sample.params.user_bias)


def test_burn_in_and_thinning_count_sweeps():
    data = pack(some_ratings())
    state = run(start(data), data, 7)
    assert int(state.step) == 7
    assert int(state.predictive.count) == 5  # sweeps 2 to 6
    assert int(state.kept.count) == 3  # sweeps 2, 4, 6
    mean, std = gibbs.predict(state.kept, PAIRS.user, PAIRS.item)
    samples = [jax.tree.map(lambda leaf, s=s: leaf[s], state.kept.samples.params) for s in range(3)]
    by_hand = jnp.stack([model.predict(params, PAIRS.user, PAIRS.item) for params in samples])
    np.testing.assert_allclose(mean, by_hand.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(std, by_hand.std(axis=0), rtol=1e-3, atol=1e-5)


def test_an_unknown_user_is_the_mean_user():
    data = pack(some_ratings())
    kept = run(start(data), data, 3).kept
    only = jax.tree.map(lambda leaf: leaf[0], kept.samples)
    row, item = only.users.mean, only.params.item_factors[4]
    expected = only.params.mean + row[0] + only.params.item_bias[4] + jnp.sum(row[1:] * item)
    unknown = jnp.array([-1, U])
    np.testing.assert_allclose(gibbs.predict(kept, unknown, jnp.array([4, 4]))[0], [expected] * 2, rtol=1e-5)
    none = jnp.zeros(0)
    folded, spread = gibbs.fold_in(jax.random.key(0), kept, none.astype(int), none, none, jnp.array([4]))
    assert np.all(np.isfinite(folded)) and np.all(spread == 0)  # one sample kept: no spread


@pytest.mark.parametrize("name", ["rank", "num_users", "num_items", "num_kept"])
def test_a_size_below_one_is_refused(name):
    with pytest.raises(ValueError, match=name):
        start(pack(some_ratings()), **{name: 0})


@pytest.mark.parametrize(("name", "value"), [("burn_in", -1), ("thin", 0)])
def test_a_schedule_that_cannot_be_is_refused(name, value):
    data = pack(some_ratings())
    with pytest.raises(ValueError, match=name):
        gibbs.sweep(start(data), data, PAIRS, **{"burn_in": 0, name: value})
