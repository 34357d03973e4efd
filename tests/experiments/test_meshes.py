"""Every experiment's training on eight devices: twenty steps are those of one device, and each device holds less."""

import importlib

import jax
import numpy as np
import pytest

import experiments
from experiments.runner.stage import chunk, placements
from sandbox import sharding

TEXT = {"layers": 1, "width": 32, "heads": 2, "batch_size": 8, "context": 16, "steps": 20}
SMALL = {  # eight devices divide the rows of a batch, or as many seeds
    ("attention", "data=8"): TEXT,
    ("attention", "data=4,model=2"): TEXT,
    ("convolution", "data=8"): {"widths": (4,), "depths": (1,), "batch_size": 16},
    ("gan", "data=8"): {"widths": (8,), "batch_size": 16, "seeds": 8},
    ("matrix_factorization", "data=8"): {"folds": 1, "rank": 2, "sweeps": 21, "implicit_rank": 4},
    ("score_matching", "data=8"): {"width": 8, "layers": 1, "batch_size": 16},
}


def staged(name, mesh, flags):
    """The stages of an experiment as it learns on a mesh, from the presets' data."""
    config = experiments.configure(name, mesh=mesh, **flags)
    module = importlib.import_module(f"experiments.{name}")
    axes = dict(part.split("=") for part in mesh.split(",")) if mesh else {}
    mesh = sharding.make_mesh({axis: int(size) for axis, size in axes.items()}) if mesh else None
    return module.stages(config, module.read(config), mesh), mesh


def after(stage, mesh, steps=20):
    """The state after some steps, and the losses on the way."""
    of_state, of_data = placements(stage, mesh)
    state = jax.jit(stage.initial, out_shardings=of_state)(*stage.given)
    data = jax.device_put(stage.data, of_data)
    return jax.jit(chunk(stage, steps, platform="cpu", mesh=mesh))(state, *data)


@pytest.mark.slow
@pytest.mark.parametrize("name, axes", SMALL, ids=map(str, SMALL))
def test_twenty_steps_on_eight_devices_are_those_of_one(name, axes):
    flags = SMALL[name, axes]
    together, mesh = staged(name, axes, flags)
    alone, _ = staged(name, None, flags)
    for one, other in zip(alone, together, strict=True):
        assert one.name == other.name
        expected, found = after(one, None), after(other, mesh)
        assert bool(np.all(found.finite))
        for left, right in zip(jax.tree.leaves(expected.metrics), jax.tree.leaves(found.metrics), strict=True):
            np.testing.assert_allclose(left, right, rtol=2e-3, atol=1e-4, err_msg=one.name)


def bytes_per_device(axes, **flags):
    """Of the arguments, results and temporaries of a step of the language model."""
    [stage], mesh = staged("attention", axes, {**TEXT, **flags})
    of_state, of_data = placements(stage, mesh)
    given = jax.tree.map(lambda leaf, where: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where),
                         (jax.eval_shape(stage.initial, *stage.given), stage.data), (of_state, of_data))
    step = jax.jit(chunk(stage, 1, platform="cpu", mesh=mesh), donate_argnums=0)
    used = step.lower(given[0], *given[1]).compile().memory_analysis()
    return (used.argument_size_in_bytes + used.output_size_in_bytes - used.alias_size_in_bytes
            + used.temp_size_in_bytes)


@pytest.mark.slow
def test_eight_devices_share_a_language_model():
    large = {"width": 256, "heads": 8, "context": 64, "batch_size": 32}
    assert bytes_per_device("data=8", **large) <= 0.2 * bytes_per_device(None, **large)
