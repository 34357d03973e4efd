"""Our half of the benchmark of attention, and jax.nn's, which runs in the same process."""

import time
from functools import partial

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.side import compiled, serve, timed
from sandbox import attention
from sandbox.training import chunk_of, init_state, step_of


def memory(file, *, lengths, head_size):
    """Bytes of temporaries by the compiler's own count, for each length: of `gradient`, of a Hessian-vector product,
    `hessian`, both blockwise; and of the dense gradient. Nothing is run."""
    def gradient_of(implementation):
        return jax.grad(lambda q, k, v: jnp.sum(_attend(q, k, v, implementation) ** 2), argnums=(0, 1, 2))

    def hessian(*arrays):
        return jax.jvp(gradient_of("blockwise"), arrays, arrays)[1]

    def temporary_bytes(function, length):
        array = jax.ShapeDtypeStruct((1, length, 1, head_size), jnp.float32)
        return compiled(function, array, array, array)[1].memory_analysis().temp_size_in_bytes

    functions = {"gradient": gradient_of("blockwise"), "hessian": hessian, "dense": gradient_of("dense")}
    return {name: [temporary_bytes(function, length) for length in lengths] for name, function in functions.items()}


def time_attention(file, *, length, heads, head_size, repeats):
    """Seconds of our blockwise attention and of jax.nn's, their calls alternating, for each case."""
    arrays = jax.random.normal(jax.random.key(0), (4, 1, length, heads, head_size))
    report = {}
    for causal in (True, False):
        ours = partial(_attend, implementation="blockwise", causal=causal)
        theirs = partial(jax.nn.dot_product_attention, is_causal=causal)
        for case, of in (("forward", lambda attend: attend), ("gradient", _with_gradient)):
            inputs = arrays[:3] if case == "forward" else arrays
            report[f"{case}, {'causal' if causal else 'full'}"] = _alternately(
                {"ours": of(ours), "jax.nn": of(theirs)}, tuple(inputs), repeats)
    return report


def reference(file, *, sizes, rows, context, target):
    """Write what another implementation has to reproduce, in float64: parameters drawn at random, none of them zero,
    inputs, targets, and the logits, loss and gradients that they give here."""
    with jax.enable_x64(True):
        model = attention.Transformer(**sizes)
        shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 1), int))
        leaves, structure = jax.tree.flatten(shapes)
        keys = jax.random.split(jax.random.key(1), len(leaves))
        params = structure.unflatten([
            jax.random.normal(key, leaf.shape, float) / np.sqrt(leaf.shape[0] if leaf.ndim == 2 else 1)
            for key, leaf in zip(keys, leaves)])
        batch = attention.draw_blocks(jax.random.key(2), jnp.array(0), jnp.asarray(file["tokens"]), context=context,
                                      batch_size=rows)
        (loss, _), gradients = jax.jit(jax.value_and_grad(_loss_of(model), has_aux=True))(params, batch)
        np.savez(target, inputs=batch.inputs.astype(np.int64), targets=batch.targets.astype(np.int64),
                 logits=model.apply(params, batch.inputs), loss=loss,
                 **{f"{kind}.{name}": leaf for kind, tree in (("params", params), ("gradients", gradients))
                    for name, leaf in flax.traverse_util.flatten_dict(tree["params"], sep=".").items()})
    return {}


def train(file, *, sizes, context, batch_size, rates, chunk_steps, chunks):
    """Seconds a step of every chunk but the first, sampling included."""
    model, tokens = attention.Transformer(**sizes), jnp.asarray(file["tokens"])
    optimizer = attention.muon_and_adam(**rates)
    take = step_of(_loss_of(model), optimizer, lambda key, batch: batch)

    def step(state, tokens):
        return take(state, attention.draw_blocks(state.key, state.step, tokens, context=context,
                                                 batch_size=batch_size))

    params = model.init(jax.random.key(0), jnp.zeros((1, 1), int))
    state = init_state(params, optimizer, jax.random.key(1))
    clock = time.perf_counter()
    chunk = jax.jit(chunk_of(step, chunk_steps), donate_argnums=0).lower(state, tokens).compile()
    compile_seconds = time.perf_counter() - clock
    seconds, loss = [], 0.0
    for _ in range(chunks + 1):
        elapsed, (state, metrics, _) = timed(chunk, state, tokens)
        seconds.append(elapsed / chunk_steps)
        loss = float(jnp.mean(metrics["loss"]))
    return {"compile_seconds": compile_seconds, "seconds": seconds[1:], "loss": loss,
            "parameters": sum(leaf.size for leaf in jax.tree.leaves(params))}


def generate(file, *, sizes, context, num_tokens, repeats):
    """Seconds of a text of one row, its parameters fresh."""
    model = attention.Transformer(**sizes)
    params = model.init(jax.random.key(0), jnp.zeros((1, 1), int))
    compile_seconds, write = compiled(
        lambda key, params: attention.generate(key, model, params, jnp.zeros((1, 1), int), num_tokens=num_tokens,
                                               capacity=context), jax.random.key(0), params)
    seconds = [timed(write, jax.random.key(run), params)[0] for run in range(repeats + 1)]
    return {"compile_seconds": compile_seconds, "seconds": seconds[1:]}


def _attend(q, k, v, implementation, causal=True):
    return attention.attention(q, k, v, causal=causal, implementation=implementation)


def _with_gradient(attend):
    def both(q, k, v, cotangent):
        out, pull_back = jax.vjp(attend, q, k, v)
        return out, pull_back(cotangent)

    return both


def _alternately(functions, inputs, repeats):
    """For each function: seconds to compile, seconds of each call; and how far the first results are apart."""
    report, executables, first = {}, {}, {}
    for name, function in functions.items():
        compile_seconds, executables[name] = compiled(function, *inputs)
        first[name] = jax.tree.leaves(executables[name](*inputs))
        report[name] = {"compile_seconds": compile_seconds, "seconds": []}
    for _ in range(repeats):
        for name, executable in executables.items():
            report[name]["seconds"].append(timed(executable, *inputs)[0])
    return report | {"apart": max(float(jnp.max(jnp.abs(a - b))) for a, b in zip(*first.values()))}


def _loss_of(model):
    return partial(attention.next_token_cross_entropy, apply_fn=model.apply)


if __name__ == "__main__":
    serve({"memory": memory, "time_attention": time_attention, "reference": reference, "train": train,
           "generate": generate})
