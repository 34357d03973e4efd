"""Every experiment's training on eight devices: twenty steps are those of one device, and each device holds less."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import experiments
from experiments.porting.programs import chunk_of_stage
from experiments.runner.meshes import parse_mesh
from experiments.runner.stage import placements
from sandbox import sharding

TEXT = {"layers": 1, "width": 32, "heads": 2, "batch_size": 8, "context": 16, "steps": 20}
SMALL = {  # eight devices divide the rows of a batch, or as many seeds
    ("attention", "data=8"): TEXT,
    ("attention", "data=4,model=2"): TEXT,
    ("convolution", "data=8"): {"widths": (4,), "depths": (1,), "batch_size": 16},
    ("gan", "data=8"): {"widths": (8,), "batch_size": 16, "seeds": 8},
    ("kalman", "data=8"): {"seeds": 8},
    ("matrix_factorization", "data=8"): {"folds": 1, "rank": 2, "sweeps": 21, "implicit_rank": 4},
    ("score_matching", "data=8"): {"width": 8, "layers": 1, "batch_size": 16},
}
SAME_ACTIONS = 2  # batches: one action that rounding turns over changes all that comes after it


def staged(name, axes, flags):
    """The stages of an experiment as it learns on a mesh, on the quick preset's data; and the mesh."""
    config = experiments.configure(name, mesh=axes, **flags)
    module = importlib.import_module(f"experiments.{name}")
    mesh = sharding.make_mesh(parse_mesh(axes)) if axes else None
    return module.stages(config, module.read(config), mesh), mesh


def after(stage, mesh, steps=20):
    """The state after some steps, and the metrics on the way."""
    of_state, of_data = placements(stage, mesh)
    state = jax.jit(stage.initial, out_shardings=of_state)(*stage.given)
    return chunk_of_stage(stage, mesh, steps, platform="cpu").function(state, *jax.device_put(stage.data, of_data))


def assert_alike(expected, found, name, tolerance):
    """Equal to rounding, which steps magnify: relative to a leaf's largest number."""
    assert bool(np.all(found.finite))
    for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        if jnp.issubdtype(one.dtype, jax.dtypes.prng_key):
            one, other = jax.random.key_data(one), jax.random.key_data(other)
        scale = float(np.max(np.abs(one), initial=0)) if jnp.issubdtype(one.dtype, jnp.floating) else 0.0
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * scale, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("name, axes", SMALL, ids=map(str, SMALL))
def test_twenty_steps_on_eight_devices_are_those_of_one(name, axes):
    (together, mesh), (alone, _) = (staged(name, where, SMALL[name, axes]) for where in (axes, None))
    for one, other in zip(alone, together, strict=True):
        expected, found = after(one, None), after(other, mesh)
        if one.name == "implicit":  # its tables stand in the order of the devices
            expected, found = (end._replace(state=None) for end in (expected, found))
        assert_alike(expected, found, one.name, 2e-3)


def test_one_agent_s_environments_are_divided():
    flags = {"seeds": 1, "environments": 16, "unroll": 8, "widths": (8,), "plain_steps": 0, "steps": 1280}
    (together, mesh), (alone, _) = (staged("reinforce", axes, flags) for axes in ("data=8", None))
    found = after(together[0], mesh, SAME_ACTIONS)
    seen = found.state.learner.under_way.observations
    assert seen.sharding.shard_shape(seen.shape) == (1, 2, 4)
    assert_alike(after(alone[0], None, SAME_ACTIONS), found, "solve", 2e-3)


def bytes_per_device(axes, **flags):
    """Of the arguments, results and temporaries of a step of the language model."""
    [stage], mesh = staged("attention", axes, {**TEXT, **flags})
    step = chunk_of_stage(stage, mesh, 1, platform="cpu")
    used = step.function.lower(*step.arguments).compile().memory_analysis()
    return (used.argument_size_in_bytes + used.output_size_in_bytes - used.alias_size_in_bytes
            + used.temp_size_in_bytes)


@pytest.mark.slow
def test_eight_devices_share_a_language_model():
    large = {"width": 256, "heads": 8, "context": 64, "batch_size": 32}
    assert bytes_per_device("data=8", **large) <= 0.2 * bytes_per_device(None, **large)
