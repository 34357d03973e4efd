"""Under vmap each is itself, whatever is mapped; and what is compiled is what a processor is fast at, in a loop too."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax
from jax.sharding import PartitionSpec as P

from sandbox import sharding
from sandbox.convolution import conv, derivatives
from tests.sandbox.convolution.problems import (
    DEPTHWISE,
    GROUPED,
    ONE_AXIS,
    PROBLEMS,
    SPREAD,
    assert_equal,
    by_hand,
    compiled,
    whole,
)

# Axes of x, w, dx, dw, dy that vmap maps.
INPUTS, KERNELS, BOTH, LATER = (0, None, 0, None, 0), (None, 0, None, 0, 0), (0,) * 5, (1, -1, 2, -2, 3)


def _many(name, axes):
    """The arrays of a problem, of which those that are mapped have three of each; and those one after another."""
    one = PROBLEMS[name][:5]
    apart = [[array if axis is None else whole(*array.shape) for array, axis in zip(one, axes)] for _ in range(3)]
    together = [arrays[0] if axis is None else np.stack(arrays, axis) for axis, *arrays in zip(axes, *apart)]
    return together, [PROBLEMS[name]._replace(**dict(zip(("x", "w", "dx", "dw", "dy"), arrays))) for arrays in apart]


@pytest.mark.parametrize("name, axes", [
    (ONE_AXIS, INPUTS), (GROUPED, KERNELS), (DEPTHWISE, KERNELS), (SPREAD, BOTH), (GROUPED, BOTH), (ONE_AXIS, LATER),
], ids=["inputs", "kernels, groups", "kernels, depthwise", "both", "both, groups", "axes that are not the first"])
def test_under_vmap_each_is_itself(name, axes):
    together, apart = _many(name, axes)
    derivatives = jax.jit(jax.vmap(compiled(name), axes))(*together)
    assert_equal(derivatives, jax.tree.map(lambda *each: np.stack(each), *map(by_hand, apart)))


def test_a_vmap_in_a_vmap():
    """Kernels of three seeds, each on two batches: inputs are mapped inside and kernels outside."""
    x, w = whole(2, 1, 5, 3, 2), whole(3, 2, 2, 2, 3)
    gradient = jax.grad(lambda w, x: jnp.sum(conv(x, w) ** 2))
    nested = jax.jit(jax.vmap(jax.vmap(gradient, (None, 0)), (0, None)))(w, x)
    one = jax.jit(gradient)
    assert_equal(nested, np.stack([[one(kernel, batch) for batch in x] for kernel in w]))


def test_derivatives_of_a_vmap_are_the_vmap_of_derivatives():
    together, apart = _many(GROUPED, KERNELS)
    x, w, dx, dw, dy = together
    mapped = jax.vmap(functools.partial(conv, **PROBLEMS[GROUPED].how), (None, 0))

    @jax.jit
    def evaluate():
        (y, y_tangent), (_, back) = jax.jvp(mapped, (x, w), (dx, dw)), jax.vjp(mapped, x, w)
        return y, y_tangent, back(dy)

    each = list(map(by_hand, apart))
    assert_equal(evaluate(), (
        np.stack([one.y for one in each]), np.stack([one.y_tangent for one in each]),
        (sum(one.gradient[0] for one in each), np.stack([one.gradient[1] for one in each]))))


def test_a_kernel_that_has_many_taps_is_not_written_out():
    """One image's gradient to a depthwise kernel is a convolution with the gradient at the output, of 784 taps."""
    gradient = jax.vmap(jax.grad(lambda w, x: jnp.sum(conv(x[None], w, groups=4) ** 2)), (None, 0))
    assert jax.jit(gradient).lower(jnp.ones((3, 3, 1, 4)), jnp.ones((2, 28, 28, 4))).as_text().count("\n") < 500


def test_depthwise_in_half_precision_is_rounded_once():
    x, w = (jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.bfloat16)
            for shape in ((2, 8, 8, 4), (5, 5, 1, 4)))
    depthwise = jax.jit(functools.partial(conv, groups=4))
    exact = np.asarray(depthwise(x.astype(jnp.float32), w.astype(jnp.float32)))
    np.testing.assert_allclose(depthwise(x, w).astype(jnp.float32), exact, rtol=2**-8, atol=1e-5)


X = whole(8, 6, 5, 3)
PARAMS = (whole(3, 3, 3, 4), whole(3, 3, 4, 4), whole(3, 3, 1, 4))


def _network(params, x, convolve):
    """Three layers: plain, strided, depthwise."""
    plain, strided, depthwise = params
    x = jnp.tanh(convolve(x, plain, strides=(1, 1)))
    return jnp.tanh(convolve(jnp.tanh(convolve(x, strided, strides=(2, 2))), depthwise, strides=(1, 1), groups=4))


def _of_lax(x, w, *, strides, groups=1):
    return lax.conv_general_dilated(x, w, strides, "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
                                    feature_group_count=groups)


def _learned(params, x, *, convolve):
    """Three steps of gradient descent in a scan."""
    gradient = jax.grad(lambda params: jnp.sum(_network(params, x, convolve) ** 2))

    def step(params, _):
        return jax.tree.map(lambda leaf, slope: leaf - 0.01 * slope, params, gradient(params)), None

    return lax.scan(step, params, length=3)[0]


def _seeds(params, x, *, convolve):
    return jax.vmap(functools.partial(_learned, convolve=convolve), (0, None))(params, x)


def _layouts(train, params, convolve):
    """Layout and groups of each convolution in the program that is compiled."""
    text = jax.jit(functools.partial(train, convolve=convolve)).lower(params, X).compile().as_text()
    found = re.findall(r"dim_labels=(\w+->\w+)(?:.*feature_group_count=(\d+))?", text)
    assert len(found) == text.count(" convolution(") > 0
    return found


STACKED = jax.tree.map(lambda leaf: np.stack([leaf, leaf[::-1]]), PARAMS)
FAST = ("b01f_01io->b01f", "")


@pytest.mark.parametrize("train, params", [(_learned, PARAMS), (_seeds, STACKED)], ids=["one seed", "seeds"])
def test_in_a_compiled_loop_every_convolution_is_of_the_layout_that_is_fast_on_cpu(train, params):
    """Channels last in all three operands, no groups: others are 20 to 30 times slower there, groups 5 times.

    JAX's own, whose weight gradients are of another layout, show that this would notice.
    """
    assert set(_layouts(train, params, conv)) == {FAST}
    theirs = _layouts(train, params, _of_lax)
    assert FAST in theirs and "f01b_i01o->01bf" in {layout for layout, _ in theirs}
    assert {groups for _, groups in theirs} > {""}


def test_steps_in_a_loop_learn_what_jax_s_own_convolution_does():
    ours, theirs = (jax.jit(functools.partial(_seeds, convolve=convolve))(
        jax.tree.map(lambda leaf: 0.1 * leaf, STACKED), X) for convolve in (conv, _of_lax))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def _second_order(params, x):
    gradient = jax.grad(lambda params, x: jnp.sum(_network(params, x, conv) ** 2), (0, 1))
    return jax.jvp(gradient, (params, x), (params, x))[1]


def test_second_derivatives_lower_for_cpu_cuda_and_tpu_of_seeds_as_one_convolution_but_on_cpu():
    function = jax.jit(jax.vmap(_second_order, (0, None)))
    exported = export.export(function, platforms=("cpu", "cuda", "tpu"))(STACKED, X)
    assert exported.platforms == ("cpu", "cuda", "tpu")
    in_groups = {platform: len(re.findall(r"feature_group_count = (?!1 )", export.export(
        function, platforms=[platform])(STACKED, X).mlir_module())) for platform in ("cpu", "cuda", "tpu")}
    assert in_groups["cpu"] == 0 < in_groups["cuda"] == in_groups["tpu"]


@pytest.mark.parametrize("number", [3, 20])
def test_many_kernels_take_a_loop_and_few_are_written_out(number):
    """The program does not grow with the stack; either way each is itself."""
    x, w = whole(number, 1, 4, 4, 2), whole(number, 2, 2, 2, 3)
    every = jax.jit(jax.vmap(conv))
    assert_equal(every(x, w)[-1], conv(x[-1], w[-1]))
    text = every.lower(x, w).as_text()
    assert text.count("stablehlo.convolution") == (3 if number == 3 else 1)
    assert ("stablehlo.while" in text) == (number == 20)


def test_two_devices_with_half_the_batch_each_agree_with_one():
    """To the bit, of whole numbers: each layer's gradient is summed over the devices once."""
    mesh = sharding.make_mesh({"data": 2}, jax.devices()[:2])
    kernels = PARAMS[:2]

    def projected(params, x):
        return jnp.sum(conv(conv(x, params[0]), params[1], strides=2) * 2)

    evaluate = jax.jit(jax.value_and_grad(projected, (0, 1)))
    placed = sharding.replicate(mesh, kernels), sharding.place_batch(mesh, X)
    on_two = evaluate(*placed)
    assert on_two[1][1].sharding.num_devices == 2
    assert_equal(on_two, evaluate(kernels, X))

    @functools.partial(jax.shard_map, mesh=mesh, in_specs=(P(), P("data")), out_specs=P())
    def sharded(params, x):
        return lax.psum(projected(params, x), "data")

    assert_equal(jax.jit(jax.value_and_grad(sharded, (0, 1)))(*placed), evaluate(kernels, X))


def test_what_is_computed_again_for_the_gradient_is_the_same():
    gradient, again = (jax.jit(jax.grad(lambda params, network=network: jnp.sum(network(params, X) ** 2)))(PARAMS)
                       for network in (functools.partial(_network, convolve=conv),
                                       jax.checkpoint(functools.partial(_network, convolve=conv))))
    for one, other in zip(gradient, again, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_a_callers_precision_reaches_the_compiled_program():
    """Also where it is said by a context, which is over when the operation is lowered; and in the gradient."""
    def loss(x, w):
        with jax.default_matmul_precision("highest"):
            return jnp.sum(conv(x, w))

    shapes = jax.ShapeDtypeStruct((1, 4, 4, 2), jnp.float32), jax.ShapeDtypeStruct((3, 3, 2, 2), jnp.float32)
    text = jax.jit(jax.value_and_grad(loss, (0, 1))).lower(*shapes).as_text()
    assert text.count("stablehlo.convolution") == 3 and text.count("HIGHEST") == 6


def test_eagerly_too_a_divided_batch_stays_divided():
    mesh = sharding.make_mesh({"data": 2}, jax.devices()[:2])
    x = sharding.place_batch(mesh, jnp.ones((4, 5, 5, 2)))
    assert conv(x, sharding.replicate(mesh, jnp.ones((3, 3, 2, 2)))).sharding.spec[0] == "data"


def test_divided_batches_of_several_seeds_are_only_summed_over_devices():
    """No device gathers what another has."""
    mesh = sharding.make_mesh({"data": 2}, jax.devices()[:2])
    x = jax.device_put(jnp.ones((3, 4, 5, 5, 2)), jax.sharding.NamedSharding(mesh, P(None, "data")))
    w = sharding.replicate(mesh, jnp.ones((3, 3, 3, 2, 2)))
    step = jax.jit(jax.grad(lambda w, x: jnp.sum(jax.vmap(conv)(x, w) ** 2)))
    text = step.lower(w, x).compile().as_text()
    assert "all-reduce" in text and "all-gather" not in text


@pytest.mark.parametrize("name", [GROUPED, ONE_AXIS])
@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (-1, 1), (None, -1), (2, None)])
def test_the_weight_gradient_under_vmap_is_itself_and_so_are_its_own_gradients(name, axes):
    """Of inputs alone, of gradients at the output alone, of both, on any axis."""
    x, w, _, _, dy, how, _ = PROBLEMS[name]

    def of_one(x, dy):
        value, pull_back = jax.vjp(lambda x, dy: derivatives.weight_grad(
            x, dy, kernel_size=w.shape[:-2], **how), x, dy)
        return value, pull_back(w)

    every = [(one, 2 * one, -one) if axis is not None else (one,) * 3 for one, axis in zip((x, dy), axes)]
    stacked = [one if axis is None else np.stack(three, axis) for one, three, axis in zip((x, dy), every, axes)]
    together = jax.jit(jax.vmap(of_one, axes))(*stacked)
    for number, one in enumerate(zip(*every)):
        assert_equal(jax.tree.map(lambda leaf, number=number: leaf[number], together), jax.jit(of_one)(*one))
