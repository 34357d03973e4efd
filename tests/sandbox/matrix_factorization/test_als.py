"""ALS: every row at the optimum of the stated objective, in memory that grows with the ratings alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox.matrix_factorization import als, cholesky, row_solves
from sandbox.matrix_factorization.model import Params, Ratings, init, predict
from sandbox.sharding import make_mesh

USERS, ITEMS, RANK = 12, 30, 4
EXPLICIT = {"l2": 0.7, "bias_l2": 0.3, "power": 0.4}
IMPLICIT = {"unobserved_weight": 0.2, "l2": 0.05, "power": 0.8}

pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture
def ratings():
    """User 0 rates everything, user 1 two items, user 2 nothing; one rating in six has weight 0."""
    rng = np.random.default_rng(0)
    rated = rng.random((USERS, ITEMS)) < 0.3
    rated[0], rated[1:3], rated[1, :2] = True, False, True
    user, item = np.nonzero(rated)
    weight = rng.uniform(0.5, 2.0, len(user)) * (rng.random(len(user)) > 1 / 6)
    return Ratings(user, item, rng.uniform(1, 5, len(user)), weight)


@pytest.fixture
def params():
    start = init(jax.random.key(0), num_users=USERS, num_items=ITEMS, rank=RANK, mean=3.0, scale=0.5,
                 dtype=jnp.float64)
    return start._replace(item_bias=jnp.linspace(-1, 1, ITEMS))


def packed(ratings):
    return als.pack_ratings(ratings, num_users=USERS, num_items=ITEMS)


def totals(ratings):
    return (jnp.zeros(USERS).at[ratings.user].add(ratings.weight),
            jnp.zeros(ITEMS).at[ratings.item].add(ratings.weight))


def explicit_objective(params, ratings, l2, bias_l2, power):
    error = ratings.rating - predict(params, ratings.user, ratings.item)
    sides = ((params.user_bias, params.user_factors), (params.item_bias, params.item_factors))
    penalty = sum(jnp.sum(jnp.where(n > 0, n, 1) ** power * (bias_l2 * b**2 + l2 * jnp.sum(f**2, axis=1)))
                  for n, (b, f) in zip(totals(ratings), sides, strict=True))
    return jnp.sum(ratings.weight * error**2) + penalty


def implicit_objective(params, ratings, unobserved_weight, l2, power):
    every = params.user_factors @ params.item_factors.T
    error = ratings.rating - every[ratings.user, ratings.item]
    penalty = sum(jnp.sum((n + unobserved_weight * others) ** power * jnp.sum(f**2, axis=1))
                  for n, others, f in zip(totals(ratings), (ITEMS, USERS),
                                          (params.user_factors, params.item_factors), strict=True))
    return jnp.sum(ratings.weight * error**2) + unobserved_weight * jnp.sum(every**2) + l2 * penalty


explicit_sweep, implicit_sweep = (jax.jit(sweep, static_argnames="mesh")
                                  for sweep in (als.explicit_sweep, als.implicit_sweep))
CASES = [(explicit_sweep, explicit_objective, EXPLICIT), (implicit_sweep, implicit_objective, IMPLICIT)]


@pytest.mark.parametrize("chunk_size", [2**18, 32], ids=["whole", "in pieces"])
def test_rows_equal_the_dense_normal_equations(ratings, monkeypatch, chunk_size):
    monkeypatch.setattr(row_solves, "CHUNK_SIZE", chunk_size)  # 32 / 4: rows of over 8 entries in pieces
    rng = np.random.default_rng(1)
    design, penalty = rng.normal(size=(ITEMS, RANK)), rng.uniform(0.5, 2, RANK)
    solve = jax.jit(lambda blocks: row_solves.solve_rows(
        jnp.asarray(design), blocks, ratings.item, ratings.rating, ratings.weight, num_rows=USERS,
        ridge=lambda total: (1 + total)[:, None] * penalty[None]))
    solved = solve(packed(ratings).by_user)
    for user in range(USERS):
        y, w, r = (a[ratings.user == user] for a in (design[ratings.item], ratings.weight, ratings.rating))
        ridge = np.diag((1 + w.sum()) * penalty)
        expected = np.linalg.solve(y.T @ (w[:, None] * y) + ridge, y.T @ (w * r))
        np.testing.assert_allclose(solved[user], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("size", [1, 5, 12, 13, 40])
def test_cholesky_solves_and_inverts(size):
    rng = np.random.default_rng(size)
    root = rng.normal(size=(3, size, size + 2))
    matrix, vector = root @ root.transpose(0, 2, 1), rng.normal(size=(3, size))
    np.testing.assert_allclose(jax.jit(cholesky.inverse_factor)(matrix),
                               np.linalg.inv(np.linalg.cholesky(matrix)), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(jax.jit(cholesky.solve)(matrix, vector),
                               np.linalg.solve(matrix, vector[..., None])[..., 0], rtol=1e-8, atol=1e-10)


def test_what_is_not_positive_definite_is_nan():
    assert jnp.isnan(cholesky.solve(-jnp.eye(3)[None], jnp.ones((1, 3)))).all()


@pytest.mark.parametrize("sweep, objective, options", CASES, ids=["explicit", "implicit"])
def test_a_sweep_ends_each_half_at_a_stationary_point(ratings, params, sweep, objective, options):
    after = sweep(params, packed(ratings), **options)
    between = after._replace(item_bias=params.item_bias, item_factors=params.item_factors)
    gradient = jax.jit(jax.grad(objective))
    for side, at in (("user", between), ("item", after)):
        slope = gradient(at, ratings, **options)
        scale = jax.tree.map(lambda leaf: jnp.max(jnp.abs(leaf)), gradient(params, ratings, **options))
        for name in (f"{side}_bias", f"{side}_factors"):
            assert jnp.max(jnp.abs(getattr(slope, name))) <= 1e-10 * (1 + getattr(scale, name))


@pytest.mark.parametrize("sweep, objective, options", CASES, ids=["explicit", "implicit"])
def test_sweeps_never_raise_the_objective(ratings, params, sweep, objective, options):
    data = packed(ratings)
    value = jax.jit(objective)
    values = [value(params, ratings, **options)]
    for _ in range(8):
        params = sweep(params, data, **options)
        values.append(value(params, ratings, **options))
    assert np.all(np.diff(values) <= 1e-12 * values[0])
    assert values[-1] < values[1]


def test_ratings_of_weight_zero_change_nothing(ratings, params):
    more = Ratings(*(np.concatenate([array, array[:5]]) for array in ratings[:3]),
                   np.concatenate([ratings.weight, np.zeros(5)]))
    for sweep, _, options in CASES:
        without, padded = (sweep(params, packed(some), **options) for some in (ratings, more))
        jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12),
                     without, padded)


def test_an_empty_row_is_zero(ratings, params):
    for sweep, _, options in CASES:
        after = sweep(params, packed(ratings), **options)
        assert not jnp.any(after.user_factors[2]) and not jnp.any(after.user_bias[2])


def test_devices_share_the_rows(ratings, params):
    mesh = make_mesh({"data": 2}, jax.devices()[:2])
    shapes = als.layouts([ratings], num_users=USERS, num_items=ITEMS, multiple=2)
    data = als.pack_ratings(ratings, num_users=USERS, num_items=ITEMS, shapes=shapes)
    for sweep, _, options in CASES:
        alone, shared = sweep(params, packed(ratings), **options), sweep(params, data, mesh=mesh, **options)
        jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12),
                     alone, shared)


def test_folding_in_a_known_user_gives_that_users_half_of_a_sweep(ratings, params):
    ratings = ratings._replace(weight=np.ones(len(ratings.user)))
    swept = explicit_sweep(params, packed(ratings), **EXPLICIT)
    mine = ratings.user == 3
    item, rating = np.append(ratings.item[mine], -1), np.append(ratings.rating[mine], 5)
    bias, factors = jax.jit(als.explicit_fold_in)(params, item, rating, **EXPLICIT)
    np.testing.assert_allclose(bias, swept.user_bias[3], rtol=1e-10)
    np.testing.assert_allclose(factors, swept.user_factors[3], rtol=1e-10)

    chosen = ratings._replace(rating=np.ones(len(ratings.user)))
    swept = implicit_sweep(params, packed(chosen), **IMPLICIT)
    np.testing.assert_allclose(jax.jit(als.implicit_fold_in)(params, item, **IMPLICIT), swept.user_factors[3],
                               rtol=1e-10)


def test_folding_in_nobody_is_zero(params):
    bias, factors = jax.jit(als.explicit_fold_in)(params, jnp.array([ITEMS, -1]), jnp.ones(2), **EXPLICIT)
    assert bias == 0 and not jnp.any(factors)


@pytest.mark.parametrize("sweep, options, name", [
    (als.explicit_sweep, EXPLICIT | {"l2": -1.0}, "l2"),
    (als.explicit_sweep, EXPLICIT | {"bias_l2": -1.0}, "bias_l2"),
    (als.implicit_sweep, IMPLICIT | {"l2": -1.0}, "l2"),
    (als.implicit_sweep, IMPLICIT | {"unobserved_weight": -1.0}, "unobserved_weight"),
])
def test_a_negative_penalty_is_refused(ratings, params, sweep, options, name):
    with pytest.raises(ValueError, match=f"^{name} must not be negative"):
        sweep(params, packed(ratings), **options)


def test_rank_zero_is_refused(ratings, params):
    flat = Params(*params[:3], jnp.zeros((USERS, 0)), jnp.zeros((ITEMS, 0)))
    for sweep, _, options in CASES:
        with pytest.raises(ValueError, match="rank must be at least 1, got 0"):
            sweep(flat, packed(ratings), **options)


@pytest.mark.parametrize("change, complaint", [
    ({"user": np.array([USERS])}, f"user ids must lie in 0..{USERS - 1}"),
    ({"item": np.array([-1])}, f"item ids must lie in 0..{ITEMS - 1}"),
    ({"weight": np.array([-1.0])}, "weight must not be negative"),
])
def test_bad_ratings_are_refused(change, complaint):
    good = Ratings(np.array([0]), np.array([0]), np.ones(1), np.ones(1))
    with pytest.raises(ValueError, match=complaint):
        packed(good._replace(**change))


def test_memory_grows_with_the_ratings_and_not_with_users_times_items():
    def temporaries(scale):
        users, items, count = 4000 * scale, 2000 * scale, 10_000 * scale
        rng = np.random.default_rng(0)
        one = np.ones(count, np.float32)
        ratings = Ratings(rng.integers(0, users, count), rng.integers(0, items, count), one, one)
        data = als.pack_ratings(ratings, num_users=users, num_items=items)
        params = init(jax.random.key(0), num_users=users, num_items=items, rank=4)
        compiled = jax.jit(lambda p, d: als.implicit_sweep(p, d, **IMPLICIT)).lower(params, data).compile()
        return compiled.memory_analysis().temp_size_in_bytes, 4 * users * items

    small, large = temporaries(1), temporaries(4)
    assert large[0] < 6 * small[0]  # 4 times the ratings; users times items grew 16 times
    assert large[0] < large[1] / 50
