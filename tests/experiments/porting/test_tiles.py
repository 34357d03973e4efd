"""Room that arrays take in tiles."""

import jax
import jax.numpy as jnp
import pytest

from experiments.porting.tiles import Argument, arguments_of, laid_out_size


@pytest.mark.parametrize(("shape", "order", "tiling", "size"), [
    ((8, 128), (0, 1), ((8, 128),), 8 * 128),
    ((9, 129), (0, 1), ((8, 128),), 16 * 256),
    ((9, 129), (1, 0), ((8, 128),), 136 * 128),
    ((3, 100, 50), (0, 1, 2), ((8, 128),), 3 * 104 * 128),
    ((10, 3, 5), (2, 1, 0), ((4, 128), (2, 1)), 5 * 4 * 128),  # bfloat16: pairs of rows within a tile
    ((), (), ((128,),), 128),
    ((300,), (0,), ((256,), (128,), (2, 1)), 512),
    ((3, 5), (0, 1), (), 15),
])
def test_axes_are_filled_up_to_whole_tiles(shape, order, tiling, size):
    assert laid_out_size(shape, order, tiling) == size


def test_arguments_of_a_program_are_named_and_where_nothing_is_tiled_take_what_they_hold():
    arguments = jax.eval_shape(lambda: ({"w": jnp.ones((3, 5))}, jax.random.split(jax.random.key(0), 4)))
    compiled = jax.jit(lambda params, keys: params["w"] * 2, keep_unused=True).lower(*arguments).compile()
    assert arguments_of(compiled, arguments) == (
        Argument("[0]['w']", (3, 5), "float32", 60, 60), Argument("[1]", (4, 2), "uint32", 32, 32))
    assert Argument("x", (1000, 3), "float32", 12000, 512000).waste == pytest.approx(42.67, abs=0.01)
