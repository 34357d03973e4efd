"""A mesh of one that costs too much is told by the exit status, and chunks are those of the platform that is here."""

import jax
import jax.numpy as jnp
import pytest

from experiments.porting import overhead
from experiments.porting.operations import primitives
from experiments.porting.programs import chunk_of_stage
from experiments.runner.stage import Stage


@pytest.mark.parametrize(("within", "status"), [(1.01, 0), (1.03, 1)])
def test_the_status_says_whether_a_mesh_costs_more_than_a_fiftieth(monkeypatch, capsys, within, status):
    monkeypatch.setattr(overhead, "in_turns", lambda name, seconds: overhead.Turns("learn", [1.0] * 51, [within] * 51))
    assert overhead.main(overhead.Options(experiments=("kalman",))) == status
    assert f"{within:.3f}" in capsys.readouterr().out


def test_chunks_are_taken_in_turns(monkeypatch):
    order = []

    def prepared(name, mesh):
        return "learn", lambda: order.append("none" if mesh is None else "mesh")

    monkeypatch.setattr(overhead, "prepared", prepared)
    turns = overhead.in_turns("kalman", 0, least=2)
    assert order == ["none", "mesh", *("none", "mesh"), *("mesh", "none")]
    assert len(turns.without) == len(turns.within) == 2


@pytest.mark.parametrize(("platform", "loops"), [("cpu", 2), ("tpu", 1)])
def test_runs_that_a_cpu_takes_one_by_one_are_so_on_a_cpu(platform, loops):
    stage = Stage("learn", lambda: jnp.ones((2, 3)), (), lambda state: (2 * state, {"sum": state.sum()}), (),
                  num_steps=4, chunk_steps=4, labels=["a", "b"], runs="map-on-cpu")
    built = chunk_of_stage(stage, None, platform=platform)
    traced = jax.make_jaxpr(built.function)(*built.arguments)
    assert list(primitives(traced)).count("scan") == loops
