"""Our half of the benchmark of convolution, and jax.lax's, which runs in the same process."""

import math
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from experiments.benchmarks.side import compiled, serve, timed
from sandbox import convolution, sharding
from sandbox.training import chunk_of, init_state, step_of

CONVOLUTIONS = {
    "jax.lax": partial(lax.conv_general_dilated, window_strides=(1, 1), padding="SAME",
                       dimension_numbers=("NHWC", "HWIO", "NHWC")),
    "here": convolution.conv,
}
TRAP_STEPS = 2  # of jax.lax in a loop; a loop of one step would be none
HOPELESS = 3  # a way that is twice as many times slower than the fastest one is not measured again
PRODUCT_SIZE = 2048


def layers(file, *, shapes, seeds, steps, repeats):
    """Seconds a step of each 3 x 3 layer, (rows, size, channels), by every way to take it; see `_one` and `_many`."""
    def layer(rows, size, channels):
        keys = jax.random.split(jax.random.key(0))
        x = jax.random.normal(keys[0], (seeds, rows, size, size, channels))
        w = jax.random.normal(keys[1], (seeds, 3, 3, channels, channels)) * (2 / (9 * channels)) ** 0.5
        one = jax.tree.map(lambda leaf: leaf[0], (x, w))
        return {"apart": _apart(*(jax.jit(_step_of(convolve))(one)[0] for convolve in CONVOLUTIONS.values())),
                "one": _in_rounds(_one(one, steps), repeats),
                "many": _in_rounds(_many((x, w), max(2, steps // seeds)), repeats)}

    return {"jax": jax.__version__, "layers": [layer(*shape) for shape in shapes]}


def convolutions(file, *, cases, target):
    """Write what another implementation has to reproduce, in float64: of each case x, w, dy, drawn, and y, dx, dw;
    and of pooling, windows of 3 at strides of 2, padded by 1."""
    rng, arrays = np.random.default_rng(0), {}
    pools = {"average": convolution.average_pool, "max": convolution.max_pool}
    with jax.enable_x64(True):
        for name, pool in pools.items():
            x, dy = jnp.asarray(rng.normal(size=(3, 9, 8, 4))), jnp.asarray(rng.normal(size=(3, 5, 4, 4)))
            y, pull_back = jax.vjp(partial(pool, window=3, strides=2, padding=1), x)
            named = {"x": x, "dy": dy, "y": y, "dx": pull_back(dy)[0]}
            arrays |= {f"{name}.{part}": array for part, array in named.items()}
        for number, case in enumerate(cases):
            x, w = (jnp.asarray(rng.normal(size=case[name])) for name in ("x", "w"))
            y, pull_back = jax.vjp(partial(convolution.conv, **case["how"]), x, w)
            dy = jnp.asarray(rng.normal(size=y.shape))
            dx, dw = pull_back(dy)
            named = {"x": x, "w": w, "dy": dy, "y": y, "dx": dx, "dw": dw}
            arrays |= {f"{number}.{name}": array for name, array in named.items()}
    np.savez(target, **arrays)
    return {}


def reference(file, *, sizes, size, rows, num_images, label_smoothing, target):
    """Write what another implementation has to reproduce, in float64: parameters drawn at random, none of them zero,
    images and labels, and the logits, loss and gradients that the first rows give here."""
    with jax.enable_x64(True):
        model, rng = convolution.SmallNetwork(**sizes), np.random.default_rng(0)
        images = jnp.asarray(rng.normal(size=(num_images, size, size, 1)))
        labels = rng.integers(sizes["num_classes"], size=num_images)
        shapes = jax.eval_shape(model.init, jax.random.key(0), images[:1])
        params = jax.tree.map(lambda leaf: jnp.asarray(_drawn(rng, leaf.shape)), shapes)
        batch = _batch(images[:rows], jnp.asarray(labels[:rows]), sizes)
        logits = jax.jit(model.apply)(params, batch.images)
        loss_of = jax.value_and_grad(_loss_of(model, label_smoothing), has_aux=True)
        (loss, _), gradients = jax.jit(loss_of)(params, batch)
        np.savez(target, images=images, labels=labels, logits=logits, loss=loss,
                 **{f"{kind}.{name}": leaf for kind, tree in (("params", params), ("gradients", gradients))
                    for name, leaf in flax.traverse_util.flatten_dict(tree["params"], sep=".").items()})
    return {}


def train(file, *, sizes, batch_size, label_smoothing, learning_rate, momentum, chunk_steps, chunks):
    """Seconds a step of every chunk but the first, from the parameters of the file, batches in the file's order; on all
    cores: XLA runs a convolution on one, so that each core is a device, and has a part of the batch."""
    jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    mesh = sharding.make_mesh({"data": math.gcd(batch_size, jax.device_count())})
    model, optimizer = convolution.SmallNetwork(**sizes), optax.sgd(learning_rate, momentum)
    take = step_of(_loss_of(model, label_smoothing), optimizer, lambda key, batch: batch)
    divided = sharding.constrain_batch(mesh, lambda key, batch: batch)
    data = jnp.asarray(file["images"], jnp.float32), jnp.asarray(file["labels"], jnp.int32)

    def step(state, images, labels):
        start = state.step * batch_size % len(labels)
        drawn, classes = (lax.dynamic_slice_in_dim(part, start, batch_size) for part in (images, labels))
        return take(state, divided(None, _batch(drawn, classes, sizes)))

    named = {name.removeprefix("params."): jnp.asarray(leaf, jnp.float32) for name, leaf in file.items()
             if name.startswith("params.")}
    params = {"params": flax.traverse_util.unflatten_dict(named, sep=".")}
    state, data = sharding.replicate(mesh, (init_state(params, optimizer, jax.random.key(0)), data))
    compile_seconds, chunk = _compiled(chunk_of(step, chunk_steps), state, *data)
    seconds, loss = [], 0.0
    for _ in range(chunks + 1):
        elapsed, (state, metrics, _) = timed(chunk, state, *data)
        seconds.append(elapsed / chunk_steps)
        loss = float(jnp.mean(metrics["loss"]))
    return {"compile_seconds": compile_seconds, "seconds": seconds[1:], "loss": loss,
            "parameters": sum(leaf.size for leaf in named.values())}


def _one(state, steps):
    """Ways to take steps of one layer: each step a call, or all in a loop. Beside them, a product of matrices."""
    ways = {}
    for name, convolve in CONVOLUTIONS.items():
        step = _step_of(convolve)
        ways[name] = _calls(step, state, steps)
        ways[f"{name} in scan"] = _scanned(step, state, steps if name == "here" else TRAP_STEPS)
    matrix = jax.random.normal(jax.random.key(1), (PRODUCT_SIZE, PRODUCT_SIZE))
    compile_seconds, product = compiled(jnp.matmul, matrix, matrix)
    return ways | {"product": (compile_seconds, lambda: timed(product, matrix, matrix)[0])}


def _many(states, steps):
    """Ways to take steps of several layers, stacked: of each step, all side by side, or one after another in the same
    program, or each a call of its own; and ours in a loop."""
    lax_step, step = (_step_of(CONVOLUTIONS[name]) for name in ("jax.lax", "here"))
    apart = [jax.tree.map(lambda leaf, seed=seed: leaf[seed], states) for seed in range(len(states[0]))]
    return {
        "jax.lax, vmap": _calls(jax.vmap(lax_step), states, steps),
        "here, vmap": _calls(jax.vmap(step), states, steps),
        "here, lax.map": _calls(partial(lax.map, step), states, steps),
        "jax.lax, in turn": _calls_in_turn(lax_step, apart, steps),
        "here, in turn": _calls_in_turn(step, apart, steps),
        "here, vmap in scan": _scanned(jax.vmap(step), states, steps),
    }


def _step_of(convolve):
    """A step of gradient descent on x and w, (x, w) -> (x, w), loss; loss is the mean square of relu(x ∗ w)."""
    def loss(x, w):
        return jnp.mean(jax.nn.relu(convolve(x, w)) ** 2)

    def step(state):
        value, gradients = jax.value_and_grad(loss, argnums=(0, 1))(*state)
        return jax.tree.map(lambda leaf, slope: leaf - 0.1 * slope, state, gradients), value

    return step


def _calls(step, state, steps):
    compile_seconds, take = _compiled(step, state)

    def run(state):
        for _ in range(steps):
            state, _ = take(state)
        return state

    return compile_seconds, _going_on(run, state, steps)


def _calls_in_turn(step, states, steps):
    compile_seconds, take = _compiled(step, states[0])

    def run(states):
        for _ in range(steps):
            states = [take(state)[0] for state in states]
        return states

    return compile_seconds, _going_on(run, states, steps)


def _scanned(step, state, steps):
    compile_seconds, scan = _compiled(lambda state: lax.scan(lambda carry, _: step(carry), state, length=steps), state)
    return compile_seconds, _going_on(lambda state: scan(state)[0], state, steps)


def _going_on(run: Callable, state: Any, steps: int) -> Callable[[], float]:
    """Seconds a step of a run that begins where the last one ended; its state is given away each time."""
    state = jax.tree.map(jnp.copy, state)

    def measure():
        nonlocal state
        seconds, state = timed(run, state)
        return seconds / steps

    return measure


def _in_rounds(ways, repeats):
    """Of each way, {"compile_seconds", "seconds"}: all take turns, and the first round only warms."""
    warm = {name: measure() for name, (_, measure) in ways.items()}
    fastest = min(seconds for name, seconds in warm.items() if name != "product")
    report = {name: {"compile_seconds": compile_seconds, "seconds": []}
              for name, (compile_seconds, _) in ways.items()}
    for _ in range(repeats):
        for name, (_, measure) in ways.items():
            seconds = report[name]["seconds"]
            if not seconds or name == "product" or min(warm[name], *seconds) < HOPELESS * fastest:
                seconds.append(measure())
    return report


def _compiled(function, state, *data):
    """As `side.compiled`, of a function that may overwrite its state."""
    return timed(lambda: jax.jit(function, donate_argnums=0).lower(state, *data).compile())


def _apart(here, there):
    """Largest difference, relative to the largest value, of the worst leaf."""
    leaves = zip(*map(jax.tree.leaves, (here, there)))
    return max(float(jnp.max(jnp.abs(a - b)) / jnp.max(jnp.abs(b))) for a, b in leaves)


def _batch(images, labels, sizes):
    targets = jax.nn.one_hot(labels, sizes["num_classes"], dtype=images.dtype)
    return convolution.Images(images, targets, jnp.ones(len(images), images.dtype))


def _loss_of(model, label_smoothing):
    return partial(convolution.cross_entropy, apply_fn=model.apply, label_smoothing=label_smoothing)


def _drawn(rng, shape):
    """Of a kernel, as He has it; of a vector, about 1."""
    return rng.normal(size=shape) * (2 / np.prod(shape[:-1])) ** 0.5 if len(shape) > 1 else rng.uniform(0.5, 1.5, shape)


if __name__ == "__main__":
    serve({"layers": layers, "convolutions": convolutions, "reference": reference, "train": train})
