"""What every public loss of every application keeps; each application lists its cases in cases.py."""

import functools
import importlib
import inspect
import pkgutil
import re
import typing
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import sandbox

HERE = Path(__file__).parent
WINGS = sorted(path.parent.name for path in Path(sandbox.__file__).parent.glob("*/losses.py"))
CASES = [case for wing in WINGS if (HERE / wing / "cases.py").exists()
         for case in importlib.import_module(f"tests.sandbox.{wing}.cases").CASES]

pytestmark = pytest.mark.contract
every_loss = pytest.mark.parametrize("case", CASES, ids=[case.loss.__name__ for case in CASES])


def public_losses(wing):
    """Functions of (params, batch): all in losses.py, elsewhere in the wing those that return a scalar and an aux."""
    package = importlib.import_module(f"sandbox.{wing}")
    modules = [importlib.import_module(f"{package.__name__}.{found.name}")
               for found in pkgutil.iter_modules(package.__path__)]
    functions = {found for module in modules for name in getattr(module, "__all__", ())
                 if inspect.isfunction(found := getattr(module, name))}
    return [function for function in functions
            if list(inspect.signature(function).parameters)[:2] == ["params", "batch"]
            and (function.__module__.endswith(".losses")
                 or typing.get_args(inspect.signature(function).return_annotation)[:1] == (jax.Array,))]


def value_and_grad(case, params, batch):
    (value, aux), gradient = jax.value_and_grad(case.loss, has_aux=True)(params, batch, **case.keywords)
    return value, aux, gradient


COMPILED = {id(case): jax.jit(functools.partial(value_and_grad, case)) for case in CASES}  # once for all tests


def assert_close(left, right):
    chex.assert_trees_all_equal_shapes_and_dtypes(left, right)
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        scale = max(1.0, float(np.max(np.abs(np.where(np.isfinite(one), one, 0)), initial=0)))
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6 * scale)


@pytest.mark.parametrize("wing", WINGS)
def test_every_public_loss_has_a_case(wing):
    assert public_losses(wing), f"sandbox.{wing}.losses offers none"
    assert {loss.__name__ for loss in public_losses(wing)} == {
        case.loss.__name__ for case in CASES if case.loss.__module__.startswith(f"sandbox.{wing}.")}


@every_loss
def test_signature(case):
    parameters = inspect.signature(case.loss).parameters.values()
    positional = [p.name for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert positional == ["params", "batch"]
    assert not {"key", "rng", "seed"} & {p.name for p in parameters}


@every_loss
def test_value_is_a_scalar_and_aux_has_named_fields(case):
    value, aux = case.loss(case.params, case.batch, **case.keywords)
    assert value.shape == () and value.dtype == jnp.float32
    assert hasattr(aux, "_fields")


@every_loss
def test_eager_jit_and_vmap_agree(case):
    eager = value_and_grad(case, case.params, case.batch)
    jitted = COMPILED[id(case)]
    assert_close(eager, jitted(case.params, case.batch))
    twice = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), (case.params, case.batch))
    batched = jax.jit(jax.vmap(lambda params, batch: value_and_grad(case, params, batch)))(*twice)
    for k in range(2):
        assert_close(eager, jax.tree.map(lambda leaf, k=k: leaf[k], batched))


@every_loss
def test_two_steps_take_one_trace(case):
    chex.clear_trace_counter()

    @jax.jit
    @chex.assert_max_traces(n=1)
    def step(params, batch):
        gradient = jax.grad(lambda *both: case.loss(*both, **case.keywords)[0])(params, batch)
        return jax.tree.map(lambda leaf, slope: leaf - 0.1 * slope, params, gradient)

    step(step(case.params, case.batch), case.batch)


@every_loss
def test_gradients_are_finite_at_extreme_inputs(case):
    for params, batch in case.extremes:
        value, _, gradient = COMPILED[id(case)](params, batch)
        chex.assert_tree_all_finite((value, gradient))


@every_loss
def test_every_line_under_raises_raises(case):
    promised = re.findall(r"^  (\w+(?:Error|Exception)):", inspect.getdoc(case.loss), re.M)
    assert promised == [kind.__name__ for kind, _, _ in case.refused]
    for kind, words, call in case.refused:
        with pytest.raises(kind, match=re.escape(words)):
            call()


@every_loss
def test_gradient_lowers_for_cpu_cuda_and_tpu(case):
    exported = export.export(COMPILED[id(case)], platforms=("cpu", "cuda", "tpu"))(case.params, case.batch)
    assert exported.platforms == ("cpu", "cuda", "tpu")
