"""What may not be exported is refused by name, all training chunks may, and growth turns a row red."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import experiments
from experiments.porting import __main__ as porting
from experiments.porting import records, verdict
from experiments.porting.collectives import Traffic
from experiments.porting.exporting import refusals
from experiments.porting.operations import Operations
from experiments.porting.programs import Built, Program, build_chunk, losses, stages_of, varied
from experiments.porting.topology import Figures, Topology, topology
from experiments.porting.verdict import Row, compared, examine
from experiments.runner.errors import UserError
from sandbox.sharding import make_mesh

ROW = jax.ShapeDtypeStruct((4,), jnp.float32)


def told(x):
    jax.debug.print("{}", x)
    return 2 * x


def asked(x):
    return jax.lax.scan(lambda x, _: (jax.pure_callback(np.sin, ROW, x), None), x, length=3)[0]


def stuck(x):
    return x.reshape(3)


@pytest.mark.parametrize(("function", "why"), [
    (told, "calls the host: debug_"), (asked, "calls the host: pure_callback"),
    (stuck, "does not export: cannot reshape array of shape (4,)"),
])
def test_what_calls_the_host_or_cannot_be_lowered_is_refused_by_name(function, why):
    [found] = refusals(Built(jax.jit(function), (ROW,)))
    assert found.startswith(why)


def test_float64_is_refused_by_name(float64):
    widened = lambda x: jnp.sum(x.astype(jnp.float64)).astype(jnp.float32)
    assert refusals(Built(jax.jit(widened), (ROW,))) == ["float64: tensor<4xf64>", "float64: tensor<f64>"]
    assert refusals(Built(jax.jit(jnp.sin), (ROW,))) == []


@pytest.mark.parametrize("name", experiments.names())
def test_every_training_chunk_exports(name):
    for position, stage in enumerate(stages_of(name, None)):
        assert refusals(build_chunk(name, position, None, length=2)) == [], stage.name


@pytest.mark.parametrize(("name", "stages"), [
    ("attention", ["learn, bfloat16, dropout"]),
    ("convolution", ["learn, residual, bfloat16"]),
    ("gan", ["play, digits"]),
    ("matrix_factorization", ["features"]),
    ("score_matching", ["denoising, digits", "implicit", "sliced", "edm", "flow"]),
])
def test_what_no_quick_preset_has_goes_by_its_variant_and_exports(name, stages):
    found = list(varied(name))
    assert [program.title for program in found] == [f"{name}: stage {stage}" for stage in stages]
    for program in found:
        assert refusals(program.build(None)) == [], program.title


@pytest.mark.parametrize(("name", "variant"), [("gan", "digits"), ("reinforce", ""), ("score_matching", "digits")])
def test_what_a_mesh_divides_is_rounded_up_to_its_devices(name, variant):
    mesh = make_mesh({"data": 3}, jax.devices()[:3])
    built = build_chunk(name, 0, mesh, length=2, variant=variant)
    built.function.lower(*built.arguments)


def test_a_batch_is_copied_until_its_rows_divide_over_the_devices():
    [program] = [one for one in losses("reinforce") if one.name == "value_error"]  # of 3 episodes
    built = program.build(jax.sharding.Mesh(np.array(jax.devices()), ("data",)))
    shares = {leaf.sharding.shard_shape(leaf.shape)[0] for leaf in jax.tree.leaves(built.arguments[1])}
    assert shares == {3}
    built.function.lower(*built.arguments)


FIGURES = Figures(100, 20, 3, (), {"all-reduce": Traffic(10, 400)})
GOOD = Row("kalman", "loss", Operations(5), 10, FIGURES, ())


def test_what_grew_by_more_than_a_fifth_is_told(tmp_path):
    path = tmp_path / "recorded.json"
    assert records.read("v5e:2x2", path) == {}
    records.write("v5e:2x2", [GOOD], path)
    recorded = records.read("v5e:2x2", path)
    assert recorded == {"kalman: loss": {"bytes": 123, "collective_bytes": 40}}
    assert records.read("v5e:4x4", path) == {}
    assert compared(GOOD._replace(figures=FIGURES._replace(temporary_bytes=40)), recorded).wrong == ()
    assert compared(GOOD._replace(figures=FIGURES._replace(temporary_bytes=50)), recorded).wrong == (
        "bytes per chip grew from 123 to 153; if it is meant to, --record accepts it",)
    [grew] = compared(GOOD._replace(steps=5), recorded).wrong
    assert grew.startswith("collective_bytes per chip grew from 40 to 80;")


def test_without_libtpu_the_export_part_decides(tmp_path, monkeypatch, capsys):
    programs = [Program("kalman", "good", lambda mesh: Built(jax.jit(jnp.sin), (ROW,))),
                Program("kalman", "told", lambda mesh: Built(jax.jit(told), (ROW,)))]
    monkeypatch.setattr(porting, "programs", lambda only: [one for one in programs if only in one.title])
    monkeypatch.setattr(porting, "libtpu_version", lambda: None)
    assert porting.main(porting.Options(only="good")) == 0
    said = capsys.readouterr().out
    assert "make tpu-check" in said and "1 of 1 export" in said
    assert porting.main(porting.Options(json=tmp_path / "all.json")) == 1
    assert "kalman: told: calls the host" in capsys.readouterr().out
    assert [bool(one["wrong"]) for one in json.loads((tmp_path / "all.json").read_text())["programs"]] == [False, True]
    with pytest.raises(UserError, match="--only nothing"):
        porting.main(porting.Options(only="nothing"))


def test_what_the_chips_do_not_divide_by_is_named(monkeypatch, capsys):
    good = lambda mesh: Built(jax.jit(jnp.sin), (ROW,))
    monkeypatch.setattr(porting, "programs", lambda only: [Program("kalman", "plain", good)] * (not only)
                        + [Program("kalman", "paired", good, model=2)])
    three = Topology("v5e:1x3", tuple(jax.devices()[:3]), 1)
    assert [one.name for one in porting._chosen(porting.Options(), three)] == ["plain"]
    assert "Left out is what takes chips by 2, as v5e:1x3 has 3: kalman: paired" in capsys.readouterr().out
    with pytest.raises(UserError, match="nothing is left but what takes chips by 2, as v5e:1x3 has 3: kalman: paired"):
        porting._chosen(porting.Options(only="paired"), three)
    assert len(porting._chosen(porting.Options(), three._replace(devices=tuple(jax.devices()[:2])))) == 2


def test_operations_that_cannot_be_counted_are_an_error_and_not_a_blank(monkeypatch):
    def lost(jaxpr):
        raise KeyError("length")

    monkeypatch.setattr(verdict, "count", lost)
    with pytest.raises(KeyError):
        examine(Program("kalman", "good", lambda mesh: Built(jax.jit(jnp.sin), (ROW,))), None)


def test_a_program_that_cannot_be_built_is_a_red_row():
    def build(mesh):
        raise ValueError("rows do not divide")

    assert examine(Program("kalman", "odd", build), None).wrong == ("does not export: rows do not divide",)


@pytest.mark.parametrize(("said", "why"), [
    ("RESOURCE_EXHAUSTED: Ran out of memory\nand more", "does not fit: RESOURCE_EXHAUSTED: Ran out of memory"),
    ("UNIMPLEMENTED: sort", "does not compile: UNIMPLEMENTED: sort"),
])
def test_what_the_compiler_refuses_is_told_in_a_line(monkeypatch, said, why):
    def refuse(built):
        raise jax.errors.JaxRuntimeError(said)

    monkeypatch.setattr(verdict, "figures_of", refuse)
    good = Program("kalman", "good", lambda mesh: Built(jax.jit(jnp.sin), (ROW,)))
    row = examine(good, Topology("v5e:2x4", tuple(jax.devices()), 1))
    assert row.wrong == (why,) and row.operations == Operations(elementwise=4)


@pytest.mark.parametrize("name", ["v5e", "v3:2x2", "2x2"])
def test_an_unknown_topology_is_refused_with_the_known_ones(name):
    with pytest.raises(UserError, match="v4, v5e, v5p, v6e"):
        topology(name)
