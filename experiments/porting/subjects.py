"""What is grown until it fits no more: a language model, a matrix of ratings, a batch of tracks."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import experiments
from experiments.data import texts
from experiments.porting.programs import Built, chunk_of_stage, placed
from experiments.runner.stage import EACH_RUN, Stage
from experiments.writing.problem import Problem
from sandbox.kalman import Track, Tracks, models, negative_log_likelihood
from sandbox.matrix_factorization import als, ragged
from sandbox.matrix_factorization.model import Params
from sandbox.matrix_factorization.packing import ROUND, Rows, Side, Sides
from sandbox.training import init_state, step_of

LAYERS, CONTEXT, TEXT_BYTES = 4, 1024, 10_000_000
RANK, USERS, ITEMS, RATINGS = 64, 10_000, 2_000, 1_000_000  # of size 1
WIDTHS = tuple(4**k for k in range(2, 12))  # of blocks: a rule that compiles faster than the usual one, and pads more
TRACKS, ROWS, BEACONS = 100, 500, 8


class Subject(NamedTuple):
    """build: (size, mesh) -> a step. describe: (size, chips) -> the size in words. power: memory goes with size**power,
    about. start: a size that about fits one chip; as many chips as c fit start · c**with_chips, about."""

    name: str
    build: Callable[[int, Mesh], Built]
    describe: Callable[[int, int], str]
    power: float
    start: int
    with_chips: float


def language_model(size: int, mesh: Mesh) -> Built:
    """A step of LAYERS blocks of the width 256 · size, in bfloat16, on a block of bytes for each chip: the experiment's
    own, fully sharded."""
    chips = mesh.shape["data"]
    config = experiments.configure(
        "attention", "gpu", unit="bytes", layers=LAYERS, width=256 * size, heads=2 * size, context=CONTEXT,
        batch_size=chips, dropout=0.0, steps=1, seeds=1, mesh=f"data={chips}")
    text = jax.ShapeDtypeStruct((TEXT_BYTES,), jnp.int32)
    task = Problem(texts.BYTES, text, None, "", "")
    [stage] = experiments.attention.stages(config, task, mesh)
    return chunk_of_stage(stage, mesh, 1)


def num_parameters(size: int) -> int:
    """Of that language model, but for its vectors."""
    width = 256 * size
    return 12 * LAYERS * width**2 + 2 * 256 * width


def rating_matrix(size: int, mesh: Mesh) -> Built:
    """A sweep of implicit alternating least squares, the ratings of users and of items long-tailed."""
    chips, part, copy = mesh.shape["data"], PartitionSpec("data"), PartitionSpec()
    users, items, ratings = size * USERS, size * ITEMS, size * RATINGS
    sides = Sides(_side(users, items, ratings, chips), _side(items, users, ratings, chips))
    user, item = sides.by_user.ids.size, sides.by_item.ids.size
    params = Params(*(jax.ShapeDtypeStruct(shape, jnp.float32)
                      for shape in ((), (user,), (item,), (user, RANK), (item, RANK))))
    of_params, of_sides = (jax.tree.map(lambda leaf: NamedSharding(mesh, part if leaf.ndim else copy), tree)
                           for tree in (params, sides))
    sweep = partial(als.implicit_sweep, unobserved_weight=0.1, l2=0.1, power=0.75, mesh=mesh)
    jitted = jax.jit(sweep, donate_argnums=0, keep_unused=True, out_shardings=of_params)
    return Built(jitted, (placed(params, of_params), placed(sides, of_sides)))


def tracks(size: int, mesh: Mesh) -> Built:
    """Adam's step on the likelihood of tracks of a robot among beacons."""
    model = models.range_beacons(np.zeros((BEACONS, 2)), np.zeros(3), start_std=(0.1, 0.1, 0.1))
    scalar, optimizer = jnp.zeros(()), optax.adam(0.1)
    params = models.RangeBeaconParams(scalar, scalar, scalar, scalar + 1, scalar, scalar, scalar + 1,
                                      jnp.zeros(BEACONS))
    rows = {"dt_seconds": ((), jnp.float32), "control": ((2,), jnp.float32), "sensor": ((), jnp.int32),
            "measurement": ((1,), jnp.float32), "mask": ((1,), bool)}
    number = size * TRACKS * mesh.shape["data"]
    seen = Track(**{name: jax.ShapeDtypeStruct((number, ROWS, *shape), dtype) for name, (shape, dtype) in rows.items()})
    batch = Tracks(seen, jax.ShapeDtypeStruct((number,), jnp.float32))
    step = step_of(partial(negative_log_likelihood, model=model), optimizer, lambda key, batch: batch)
    keys = jax.random.split(jax.random.key(0), 1)
    stage = Stage("learn", jax.vmap(lambda key: init_state(params, optimizer, key)), (keys,), step, (batch,),
                  num_steps=1, chunk_steps=1, labels=["seed 0"], data_rules=EACH_RUN)
    return chunk_of_stage(stage, mesh, 1)


def _side(num_rows: int, num_columns: int, num_ratings: int, chips: int) -> Side:
    """Shapes of ratings by row, whose numbers are log-normal."""
    drawn = np.random.default_rng(0).lognormal(0, 1.3, num_rows)
    lengths = np.minimum(np.round(drawn * num_ratings / drawn.sum()), num_columns).astype(int)
    layout = ragged.layout_of([lengths], widths=_up_to(lengths.max()), multiple=chips)
    share = sum(count for _, count in layout) // chips
    ids = jax.ShapeDtypeStruct((chips, share + -share % ROUND), jnp.int32)
    return Side(ids, tuple(Rows(*(jax.ShapeDtypeStruct((count, width), dtype)
                                  for dtype in (jnp.int32, jnp.float32, jnp.float32))) for width, count in layout))


def _up_to(longest: int) -> tuple[int, ...]:
    return tuple(width for width in WIDTHS if width < 4 * longest)


SUBJECTS = (
    Subject("language model", language_model, lambda size, chips: (
        f"{num_parameters(size) / 1e9:.3g} billion parameters ({LAYERS} layers of width {256 * size:,}), "
        f"{chips} x {CONTEXT:,} bytes a step"), power=2, start=16, with_chips=0.5),
    Subject("rating matrix", rating_matrix, lambda size, chips: (
        f"{size * RATINGS / 1e9:.3g} billion ratings of {size * USERS / 1e6:.3g} million users and "
        f"{size * ITEMS / 1e6:.3g} million items, rank {RANK}"), power=1, start=300, with_chips=1),
    Subject("tracks", tracks, lambda size, chips: (
        f"{size * TRACKS * chips:,} tracks of {ROWS} measurements"), power=1, start=2500, with_chips=0),
)
