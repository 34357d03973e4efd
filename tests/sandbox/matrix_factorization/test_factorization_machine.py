"""The machine against a NumPy loop, against matrix factorization, and against its own prior (Geweke)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sandbox.matrix_factorization import als, factorization_machine, fields, gibbs
from sandbox.matrix_factorization.conjugate import Gaussian, Hyperprior
from sandbox.matrix_factorization.model import Ratings
from sandbox.matrix_factorization.set_features import PRECISION_GRID, SetBasis

SIZES, D = (6, 5, 3), 2
HYPERPRIORS = (Hyperprior(),) * 3
QUERIES = tuple(np.array([0, 2, size - 1]) for size in SIZES)
STEP = jax.jit(functools.partial(factorization_machine.sweep, hyperpriors=HYPERPRIORS, burn_in=1, thin=2))


def some_data(seed=0, count=30, padding=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    ids = [rng.integers(0, size, count).astype(np.int32) for size in SIZES]
    rating, weight = rng.integers(1, 6, count).astype(dtype), rng.uniform(0.5, 2.0, count).astype(dtype)
    weight[count - padding:] = 0
    vectors, _ = np.linalg.qr(rng.normal(size=(SIZES[0], 3)))
    sets = SetBasis(jnp.asarray(vectors, dtype), jnp.array([2.0, 1.0, 0.5], dtype))
    return fields.pack_fields(ids, rating, weight, sizes=SIZES, sets=[sets, None, None])


def start(data, key=0, **keywords):
    sizes = {"sizes": SIZES, "rank": D, "num_queries": 3, "num_kept": 4, **keywords}
    return factorization_machine.start(jax.random.key(key), data, **sizes)


def run(state, data, sweeps):
    for _ in range(sweeps):
        state, _ = STEP(state, data, QUERIES)
    return state


def assert_same(one, two):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        np.testing.assert_array_equal(a, b)


def random_sample(seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    tables = tuple(jnp.asarray(rng.normal(size=(size, D + 1)), dtype) for size in SIZES)
    return factorization_machine.Sample(jnp.array(3.0, dtype), tables, (), (),
                                        jnp.asarray(rng.uniform(0.5, 2, SIZES[0]), dtype))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("number", [0, 1])
def test_normal_equations_are_those_of_a_loop_over_the_ratings(number):
    data, sample = some_data(dtype=np.float64), random_sample(1)
    expected = np.zeros((SIZES[number], D + 2, D + 2))
    for n in range(len(data.rating)):
        rows = [np.asarray(sample.tables[f][data.fields[f].ids[n]]) for f in range(3) if f != number]
        known = rows[0][0] + rows[1][0] + rows[0][1:] @ rows[1][1:]
        z = np.array([1.0, *(rows[0][1:] + rows[1][1:]), data.rating[n] - 3.0 - known])
        noise = 1.0 if number == 0 else sample.noise_precision[data.fields[0].ids[n]]
        expected[data.fields[number].ids[n]] += data.weight[n] * noise * np.outer(z, z)
    grams = factorization_machine.field_grams(sample, data, number)
    np.testing.assert_allclose(grams, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_two_fields_are_matrix_factorization():
    three, sample = some_data(dtype=np.float64), random_sample(2)
    data = three._replace(fields=three.fields[:2])
    sample = sample._replace(tables=sample.tables[:2])
    ratings = Ratings(data.fields[0].ids, data.fields[1].ids, data.rating, data.weight)
    packed = als.pack_ratings(ratings, num_users=SIZES[0], num_items=SIZES[1])
    expected = gibbs.side_grams(packed.by_user, ratings, sample.mean, ratings.item, sample.tables[1],
                                ratings.weight, SIZES[0])
    np.testing.assert_allclose(factorization_machine.field_grams(sample, data, 0), expected, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
def test_sweeps_leave_the_prior_as_it_is():
    """Unknowns from the prior, ratings given them, sweeps given the ratings: still draws from the prior.

    2,000 independent chains of three fields, the first with sets; a Kolmogorov-Smirnov test of each of nine
    functions of the unknowns, at level 1e-4 in all: how often a right sampler would fail for another key.
    """
    replicates, hyper = 2_000, Hyperprior(mean_strength=3.0, extra_degrees=6, scale=2.0, noise_shape=4.0)
    data = some_data(dtype=np.float64, count=24)
    sets = data.fields[0].sets

    def draw_side(key, size, effect=None):
        keys = jax.random.split(key, 4)
        normal = jax.random.normal(keys[0], (3 + 6, 3)) / np.sqrt(2.0)  # Wishart(9, I / 2) by its definition
        precision = normal.T @ normal
        root = jnp.linalg.cholesky(jnp.linalg.inv(precision))
        mean = root @ jax.random.normal(keys[1], (3,)) / np.sqrt(3.0)
        rows = jax.random.normal(keys[2], (size, 3))
        if effect is not None:
            rows += effect @ jax.random.normal(keys[3], (effect.shape[1], 3))
        return Gaussian(mean, precision), mean[None] + rows @ root.T

    def draw(key):
        keys = jax.random.split(key, 6)
        set_precision = jax.random.choice(keys[0], jnp.array(PRECISION_GRID))
        effect = sets.vectors * jnp.sqrt(sets.values / set_precision)[None]
        sides = [draw_side(keys[1], SIZES[0], effect), *map(draw_side, keys[2:4], SIZES[1:])]
        noise = jax.random.gamma(keys[4], 4.0, (SIZES[0],)) / jax.random.exponential(keys[5])
        return factorization_machine.Sample(jnp.array(3.0), tuple(side[1] for side in sides),
                                            tuple(side[0] for side in sides),
                                            (set_precision, jnp.zeros(()), jnp.zeros(())), noise)

    def after_sweeps(key):
        keys = jax.random.split(key, 3)
        sample = draw(keys[0])
        values = [table[field.ids] for table, field in zip(sample.tables, data.fields, strict=True)]
        noise = jax.random.normal(keys[1], data.rating.shape)
        noise /= jnp.sqrt(data.weight * sample.noise_precision[data.fields[0].ids])
        rated = data._replace(rating=sample.mean + factorization_machine.score(values)[0] + noise)
        state = start(rated)._replace(key=keys[2], sample=sample)
        step = functools.partial(factorization_machine.sweep, hyperpriors=(hyper,) * 3, burn_in=0)
        return jax.lax.scan(lambda c, _: step(c, rated, QUERIES), state, length=4)[0].sample

    def functions(sample):
        users, items, times = sample.tables
        return jnp.stack([
            users[0, 0], items[0, 0], users[0, 1], times[0, 1], jnp.sum(users[0, 1:] * items[0, 1:]),
            jnp.log(sample.noise_precision[0]), jnp.log10(sample.set_precisions[0]) + 1e-3 * users[1, 1],
            sample.priors[0].mean[0], jnp.linalg.slogdet(sample.priors[0].precision)[1]])

    keys = jax.random.split(jax.random.key(7), 2)
    before = jax.jit(jax.vmap(lambda k: functions(draw(k))))(jax.random.split(keys[0], replicates))
    after = jax.jit(jax.vmap(lambda k: functions(after_sweeps(k))))(jax.random.split(keys[1], replicates))
    p_values = [stats.ks_2samp(a, b).pvalue for a, b in zip(before.T, after.T, strict=True)]
    assert min(p_values) > 1e-4 / len(p_values), p_values


def test_ratings_of_weight_zero_change_nothing():
    one, other = some_data(padding=5), some_data(padding=5)
    other.rating[-5:] = np.nan
    other.fields[1].ids[-5:] = 0
    assert_same(run(start(one), one, 3), run(start(other), other, 3))


def test_the_same_key_gives_the_same_bits_and_so_does_a_chain_in_two_parts():
    data = some_data()
    whole = run(start(data), data, 6)
    assert_same(whole, run(run(start(data), data, 3), data, 3))
    assert not np.array_equal(whole.sample.tables[0], run(start(data, key=1), data, 6).sample.tables[0])


def test_predictions_average_the_samples_kept():
    data = some_data()
    kept = run(start(data), data, 4).kept  # sweeps 1 and 3
    mean, std = factorization_machine.predict(kept, [jnp.array([0, 99])] * 3)
    samples = kept.samples
    values = [[table[s, 0] for table in samples.tables] for s in range(2)]
    unknown = [[prior.mean[s] for prior in samples.priors] for s in range(2)]
    by_hand = np.array([[samples.mean[s] + factorization_machine.score(v[s])[0] for s in range(2)]
                        for v in (values, unknown)])
    np.testing.assert_allclose(mean, by_hand.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(std, by_hand.std(axis=1), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["rank", "num_kept"])
def test_a_size_below_one_is_refused(name):
    with pytest.raises(ValueError, match=name):
        start(some_data(), **{name: 0})


@pytest.mark.parametrize(("name", "value"), [("burn_in", -1), ("thin", 0), ("hyperpriors", HYPERPRIORS[:2])])
def test_a_schedule_that_cannot_be_is_refused(name, value):
    data = some_data()
    keywords = {"hyperpriors": HYPERPRIORS, "burn_in": 0, name: value}
    with pytest.raises(ValueError, match=name):
        factorization_machine.sweep(start(data), data, QUERIES, **keywords)


def test_ids_and_weights_outside_their_range_are_refused():
    ids, ones = [np.array([0, 3])], np.ones(2)
    with pytest.raises(ValueError, match="ids of field 0"):
        fields.pack_fields(ids, ones, ones, sizes=[3])
    with pytest.raises(ValueError, match="weight"):
        fields.pack_fields(ids, ones, -ones, sizes=[4])
