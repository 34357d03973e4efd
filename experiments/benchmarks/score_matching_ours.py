"""Our half of the benchmark of score matching."""

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from experiments import configure
from experiments.benchmarks.side import compiled, serve, timed
from experiments.diffusing.learning import learning
from experiments.diffusing.objectives import objective
from experiments.diffusing.points import PLANES
from experiments.diffusing.recipes import recipe_for
from experiments.diffusing.sampling import SAMPLERS
from experiments.runner.stage import runs_on
from experiments.score_matching import read
from sandbox import score_matching, sharding
from sandbox.score_matching import Noised
from sandbox.training import Chunk, chunk_of


def reference(file, *, flags, rows, evaluations, target):
    """Write what another implementation has to reproduce, in float64: parameters drawn at random, none of them zero, a
    batch, its denoising loss and gradients, and samples from a start; and what batches are drawn from. Returns what to
    build."""
    config, recipe, subject = _subject(flags)
    diffuser, rng = subject.diffuser, np.random.default_rng(0)
    shapes = jax.eval_shape(diffuser.init, jax.random.key(0))
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: jnp.asarray(_drawn(rng, leaf.shape)), shapes)
        x, labels = jax.tree.map(lambda leaf: leaf[:rows], subject.draw_rows(jax.random.key(0), *subject.data))
        noise, start = (jnp.asarray(rng.normal(size=x.shape)) for _ in range(2))
        levels = jnp.asarray(np.geomspace(diffuser.least_level, diffuser.most_level, rows))
        batch = Noised(x, noise, levels, jnp.zeros((rows, 0, *diffuser.shape)), jnp.ones(rows), labels)
        loss = _objective(config, recipe, diffuser).loss
        (value, _), gradients = jax.jit(jax.value_and_grad(
            lambda params: loss(params, batch, score_fn=diffuser.score_fn), has_aux=True))(params)
        start = diffuser.mean + diffuser.most_level * start
        samples = jax.jit(lambda start: SAMPLERS["heun"](
            jax.random.key(0), start.shape, score_fn=lambda x, level: diffuser.score_fn(params, x, level, *labels),
            evaluations=evaluations, least=diffuser.least_level, most=diffuser.most_level, start=start).samples)(start)
    arrays = {"x": x, "noise": noise, "levels": levels, **dict(zip(("labels",), labels)), "loss": value,
              "start": start, "samples": samples, **_drawn_from(subject, config)}
    steps = (evaluations + 1) // 2
    arrays["sampler.levels"] = score_matching.with_zero(
        score_matching.edm_levels(steps - 1, diffuser.least_level, diffuser.most_level))
    for kind, tree in (("params", params), ("gradients", gradients)):
        arrays |= {f"{kind}.{name}": leaf
                   for name, leaf in flax.traverse_util.flatten_dict(tree["params"], sep=".").items()}
    np.savez(target, **arrays)
    return {"recipe": recipe._asdict(), "shape": diffuser.shape, "num_classes": diffuser.num_classes,
            "num_bins": diffuser.max_pixel + 1, "sigma_data": diffuser.sigma_data, "mean": diffuser.mean,
            "runs": runs_on(jax.default_backend(), subject.runs),
            "parameters": sum(leaf.size for leaf in jax.tree.leaves(shapes))}


def learn(file, *, flags, seeds, devices, chunk_steps, chunks):
    """Seconds a step of every chunk but the first, of all seeds together, as the experiment takes it. Seeds are divided
    over that many devices: of a CPU as many as are asked for."""
    jax.config.update("jax_num_cpu_devices", devices)
    devices = min(devices, len(jax.devices()))
    config, recipe, subject = _subject(flags)
    diffuser = subject.diffuser
    how = learning(_objective(config, recipe, diffuser), recipe, init=diffuser.init, score_fn=diffuser.score_fn,
                   draw_rows=subject.draw_rows)
    mesh = sharding.make_mesh({"data": devices}, jax.devices()[:devices])
    states = sharding.place_batch(mesh, jax.jit(jax.vmap(how.initial))(jax.random.split(jax.random.key(0), seeds)))
    data = sharding.replicate(mesh, subject.data)
    placed = Chunk(jax.tree.map(lambda leaf: leaf.sharding, states), None, None)
    chunk = jax.jit(chunk_of(how.step, chunk_steps, runs=runs_on(jax.default_backend(), subject.runs)),
                    donate_argnums=0, out_shardings=placed)
    compile_seconds, chunk = timed(lambda: chunk.lower(states, *data).compile())
    seconds = []
    for _ in range(chunks + 1):
        elapsed, (states, _, _) = timed(chunk, states, *data)
        seconds.append(elapsed / chunk_steps)
    return {"seeds": seeds, "compile_seconds": compile_seconds, "seconds": seconds[1:], "jax": jax.__version__}


def sample(file, *, flags, num, evaluations, repeats):
    """Seconds for so many samples by Heun's method, of a network that is new."""
    diffuser = _subject(flags)[2].diffuser
    params = jax.jit(diffuser.init)(jax.random.key(0))
    conditions = (jnp.arange(num, dtype=jnp.int32) % diffuser.num_classes,) if diffuser.num_classes else ()
    compile_seconds, draw = compiled(lambda params, key, conditions: diffuser.sampled(
        params, key, num, conditions, evaluations=evaluations).samples, params, jax.random.key(1), conditions)
    seconds = [timed(draw, params, key, conditions)[0] for key in jax.random.split(jax.random.key(2), repeats + 1)]
    return {"compile_seconds": compile_seconds, "seconds": seconds[1:], "jax": jax.__version__}


def traces(file, *, dimensions, width, rows, repeats):
    """Seconds of a gradient by the implicit loss and by the sliced one, one projection, in turns; of a perceptron from
    each number of dimensions by two layers of that width back."""
    found = {"implicit": [], "sliced": []}
    for size in dimensions:
        network = nn.Sequential([nn.Dense(width), nn.silu, nn.Dense(width), nn.silu, nn.Dense(size)])
        keys = jax.random.split(jax.random.key(0), 3)
        batch = score_matching.draw_noised(keys[0], jax.random.normal(keys[1], (rows, size)), jnp.ones(rows),
                                           num_projections=1)
        params = network.init(keys[2], batch.x)

        def score_fn(params, x, level, network=network):
            return network.apply(params, x)

        executables = {}
        for name, loss in (("implicit", score_matching.implicit_loss), ("sliced", score_matching.sliced_loss)):
            executables[name] = compiled(jax.grad(lambda params, batch, loss=loss: loss(
                params, batch, score_fn=score_fn)[0]), params, batch)[1]
        turns = [{name: timed(run, params, batch)[0] for name, run in executables.items()} for _ in range(repeats + 1)]
        for name in found:
            found[name].append([turn[name] for turn in turns[1:]])
    return {**found, "width": width, "rows": rows, "jax": jax.__version__}


def _subject(flags):
    """Config, recipe and subject, as the experiment takes them."""
    config = configure("score_matching", "full", **flags)
    recipe = recipe_for(config, config.dataset in PLANES)
    return config, recipe, read(config)


def _objective(config, recipe, diffuser):
    return objective("denoising", process=config.process, weighting=config.weighting, recipe=recipe,
                     sigma_data=diffuser.sigma_data)


def _drawn_from(subject, config):
    """What batches are drawn from."""
    if (mixture := PLANES[config.dataset].mixture if config.dataset in PLANES else None) is not None:
        return {"data.centres": np.float32(mixture.means), "data.sigma": np.float32(np.sqrt(mixture.variances[0, 0]))}
    part, = subject.data
    return {"data.images": np.asarray(part.images, np.float32), "data.labels": np.asarray(part.labels, np.int64)}


def _drawn(rng, shape):
    """Of a kernel, as He has it; of a vector, about 1."""
    return rng.normal(size=shape) * (2 / np.prod(shape[:-1])) ** 0.5 if len(shape) > 1 else rng.uniform(0.5, 1.5, shape)


if __name__ == "__main__":
    serve({"reference": reference, "learn": learn, "sample": sample, "traces": traces})
