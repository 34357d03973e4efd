"""ALS: every row at the optimum of the stated objective, in memory that grows with the ratings alone."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from sandbox.matrix_factorization import als, cholesky, row_solves
from sandbox.matrix_factorization.model import Params, Ratings, init, predict
from sandbox.sharding import make_mesh, place, place_batch

USERS, ITEMS, RANK = 12, 30, 4
SIZES = {"num_users": USERS, "num_items": ITEMS}
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
    start = init(jax.random.key(0), **SIZES, rank=RANK, mean=3.0, scale=0.5, dtype=jnp.float64)
    return start._replace(item_bias=jnp.linspace(-1, 1, ITEMS))


def packed(ratings, shards=1, widths=()):
    shapes = als.layouts([ratings], **SIZES, widths=widths, multiple=shards)
    return als.pack_sides(ratings, **SIZES, shapes=shapes, shards=shards)


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


def through_positions(sweep):
    """A sweep from params by id to params by id."""
    def swept(params, sides, **options):
        return als.by_id(sweep(als.arrange(params, sides), sides, **options), sides, **SIZES)

    return jax.jit(swept, static_argnames="mesh")


explicit_sweep, implicit_sweep = through_positions(als.explicit_sweep), through_positions(als.implicit_sweep)
CASES = [(explicit_sweep, explicit_objective, EXPLICIT), (implicit_sweep, implicit_objective, IMPLICIT)]


@pytest.mark.parametrize("chunk_size", [2**18, 32], ids=["whole", "in pieces"])
def test_rows_equal_the_dense_normal_equations(ratings, monkeypatch, chunk_size):
    monkeypatch.setattr(row_solves, "CHUNK_SIZE", chunk_size)  # 32 / 4: rows of over 8 entries in pieces
    rng = np.random.default_rng(1)
    side = packed(ratings).by_user
    design, penalty = rng.normal(size=(packed(ratings).by_item.ids.size, RANK)), rng.uniform(0.5, 2, RANK)
    offset = rng.normal(size=len(design))
    solve = jax.jit(lambda design, offset, blocks: row_solves.solve_rows(
        row_solves.fold(design), blocks, rank=RANK, ridge=lambda total: (1 + total)[:, None] * penalty[None],
        offset=offset))
    solved = iter(np.asarray(solve(design, offset, side.blocks)))
    for block in side.blocks:
        for column, value, weight in zip(*block, strict=True):
            y, v = design[column], value - offset[column]
            ridge = np.diag((1 + weight.sum()) * penalty)
            expected = np.linalg.solve(y.T @ (weight[:, None] * y) + ridge, y.T @ (weight * v))
            np.testing.assert_allclose(next(solved), expected, rtol=1e-10, atol=1e-12)


def test_a_tpu_finds_the_rows_of_a_folded_table(monkeypatch):
    """Its own branch, run here."""
    monkeypatch.setattr(jax.lax, "platform_dependent", lambda *arrays, tpu, default: tpu(*arrays))
    table, column = jnp.arange(48 * 40.0).reshape(48, 40), jnp.array([[0, 1, 2], [46, 47, 3]])
    folded = row_solves.fold(table)
    assert folded.shape == (16, 120)
    np.testing.assert_array_equal(row_solves._look_up(folded, column, 40), table[column])


def by_shard(side, shards):
    """(id, position of the other, value, weight) of every rating; each shard's ids but the last belong to its rows."""
    for shard, ids in enumerate(side.ids):
        parts = [[array.reshape(shards, -1, array.shape[1])[shard] for array in block] for block in side.blocks]
        rows = [row for part in parts for row in zip(*part, strict=True)]
        assert len(ids) % 16 == 0 and len(ids) - len(rows) < 16 and np.all(ids[len(rows):] == -1)
        yield from ((mine, *entry) for mine, row in zip(ids, rows, strict=False) for entry in zip(*row, strict=True)
                    if entry[2] > 0)


@pytest.mark.parametrize("shards", [1, 4])
def test_both_sides_hold_every_rating_in_position_order(ratings, shards):
    sides = packed(ratings, shards)
    user_ids, item_ids = sides.by_user.ids.ravel(), sides.by_item.ids.ravel()
    expected = sorted(entry for entry in zip(*ratings, strict=True) if entry[3] > 0)
    assert sorted((user, item_ids[at], *rest) for user, at, *rest in by_shard(sides.by_user, shards)) == expected
    assert sorted((user_ids[at], item, *rest) for item, at, *rest in by_shard(sides.by_item, shards)) == expected
    assert sorted(user_ids[user_ids >= 0]) == list(range(USERS))
    assert sorted(item_ids[item_ids >= 0]) == list(range(ITEMS))


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


def test_eight_devices_equal_one_in_float32(ratings, params):
    mesh, single = make_mesh({"data": 8}), jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), (params, ratings))
    ratings = single[1]._replace(user=ratings.user, item=ratings.item)
    whole, divided = packed(ratings, widths=(32,)), place_batch(mesh, packed(ratings, shards=8, widths=(32,)))
    for sweep, _, options in CASES:
        alone, shared = sweep(single[0], whole, **options), sweep(single[0], divided, mesh=mesh, **options)
        jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6), alone, shared)


def test_a_padding_row_is_zero_even_where_it_is_singular(ratings, params):
    """Without a penalty an empty row has no optimum; one that only fills up must not make the others' Gramian NaN."""
    every = np.indices((USERS, ITEMS)).reshape(2, -1)
    full = Ratings(*every, np.random.default_rng(0).uniform(1, 5, every.shape[1]), np.ones(every.shape[1]))
    shapes = als.layouts([full], **SIZES, widths=(32,), multiple=5)  # so that 15 rows stand where 12 are
    sides = als.pack_sides(full, **SIZES, shapes=shapes)
    after = jax.jit(als.implicit_sweep)(als.arrange(params, sides), sides, unobserved_weight=0.0, l2=0.0)
    assert jnp.all(jnp.isfinite(after.user_factors)) and jnp.all(jnp.isfinite(after.item_factors))
    assert not jnp.any(after.user_factors[sides.by_user.ids[0] < 0])


def test_shapes_that_the_shards_do_not_divide_are_refused(ratings):
    shapes = als.layouts([ratings], **SIZES, multiple=2)
    with pytest.raises(ValueError, match="4 shards do not divide 10 rows of width 8"):
        als.pack_sides(ratings, **SIZES, shapes=shapes, shards=4)


def test_sides_of_other_devices_and_of_other_params_are_refused(ratings, params):
    for sweep, options in ((als.explicit_sweep, EXPLICIT), (als.implicit_sweep, IMPLICIT)):
        with pytest.raises(ValueError, match="sides are packed for 2 shards, but there are 1 devices"):
            sweep(params, packed(ratings, shards=2), **options)
        with pytest.raises(ValueError, match=f"16 rows of user_factors expected, got {USERS}: see `arrange`"):
            sweep(params, packed(ratings), **options)


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


def memory(users, items, count, mesh=None, widths=()):
    """Of an implicit sweep over random pairs, its tables and ratings divided over a mesh."""
    rng = np.random.default_rng(0)
    one = np.ones(count, np.float32)
    ratings = Ratings(rng.integers(0, users, count), rng.integers(0, items, count), one, one)
    sizes = {"num_users": users, "num_items": items}
    shards = 1 if mesh is None else mesh.size
    shapes = als.layouts([ratings], **sizes, widths=widths, multiple=shards)
    sides = als.pack_sides(ratings, **sizes, shapes=shapes, shards=shards)
    params = als.arrange(init(jax.random.key(0), **sizes, rank=4), sides)
    if mesh is not None:
        sides, params = place_batch(mesh, sides), place(mesh, params, [("user_|item_", PartitionSpec("data"))])
    sweep = partial(als.implicit_sweep, **IMPLICIT, mesh=mesh)
    return jax.jit(sweep).lower(params, sides).compile().memory_analysis()


def test_memory_grows_with_the_ratings_and_not_with_users_times_items():
    def temporaries(scale):
        users, items = 4000 * scale, 2000 * scale
        return memory(users, items, 10_000 * scale).temp_size_in_bytes, 4 * users * items

    small, large = temporaries(1), temporaries(4)
    assert large[0] < 6 * small[0]  # 4 times the ratings; users times items grew 16 times
    assert large[0] < large[1] / 50


def test_eight_devices_hold_an_eighth_each():
    """But for the chunk that each is at, and the table that it gathers."""
    def total(mesh):
        held = memory(1000, 500, 2_000_000, mesh, widths=(8192,))
        return held.argument_size_in_bytes + held.temp_size_in_bytes + held.output_size_in_bytes

    assert total(make_mesh({"data": 8})) <= 0.2 * total(None)
