"""Our half of the benchmark of GANs."""

import flax
import jax
import jax.numpy as jnp
import numpy as np

from experiments import configure
from experiments.benchmarks.side import serve, timed
from experiments.forging.playing import playing
from experiments.forging.points import MIXTURES
from experiments.forging.recipes import recipe_for
from experiments.gan import read, rules_of
from sandbox import gan, sharding
from sandbox.gan import Pairs, Players
from sandbox.training import Chunk, chunk_of

R1, R2 = 0.7, 0.3  # of what has to be reproduced


def reference(file, *, flags, rows, target):
    """Write what another implementation has to reproduce, in float64: parameters drawn at random, none of them zero, a
    batch, the losses of both players, and their gradients; and what batches are drawn from. Returns what to build."""
    config = configure("gan", "full", **flags)
    recipe = recipe_for(config)
    subject = read(config)
    forger, rng = subject.forger, np.random.default_rng(0)
    shapes = jax.eval_shape(forger.init, jax.random.key(0))
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: jnp.asarray(_drawn(rng, leaf.shape)), shapes)
        real, latents = (jnp.asarray(rng.normal(size=(rows, *shape)))
                         for shape in (forger.shape, (forger.latent_size,)))
        labels = (jnp.asarray(rng.integers(forger.num_classes, size=rows)),) if forger.num_classes else ()
        batch = Pairs(real, latents, jnp.zeros(rows), jnp.ones(rows), labels)
        how = {"generate": forger.networks.generator.apply, "discriminate": forger.networks.discriminator.apply,
               "criterion": gan.RELATIVISTIC}
        losses = Players(
            lambda x, y: gan.generator_loss(x, batch, opponent=y, **how),
            lambda y, x: gan.discriminator_loss(y, batch, opponent=x, r1=R1, r2=R2, **how))
        found = [jax.jit(jax.value_and_grad(loss, has_aux=True))(*pair)
                 for loss, pair in zip(losses, (params, params[::-1]))]
    arrays = {"real": real, "latents": latents, **dict(zip(("labels",), labels)), **_drawn_from(subject, config)}
    for player, of, ((value, _), gradient) in zip(Players._fields, params, found):
        arrays[f"loss.{player}"] = value
        for kind, tree in (("params", of), ("gradients", gradient)):
            arrays |= {f"{kind}.{player}.{name}": leaf
                       for name, leaf in flax.traverse_util.flatten_dict(tree["params"], sep=".").items()}
    np.savez(target, **arrays)
    return {"recipe": recipe._asdict(), "shape": forger.shape, "num_classes": forger.num_classes, "r1": R1, "r2": R2,
            "parameters": forger.with_params(jax.tree.map(lambda leaf: leaf[None], params)).num_parameters._asdict()}


def learn(file, *, flags, pairs, devices, chunk_steps, chunks):
    """Seconds a step of every chunk but the first, of all pairs together, as the experiment takes it: averaged, and
    watched for divergence. Pairs are divided over that many devices: of a CPU as many as are asked for."""
    jax.config.update("jax_num_cpu_devices", devices)
    devices = min(devices, len(jax.devices()))
    config = configure("gan", "full", **flags)
    recipe = recipe_for(config)
    subject = read(config)
    play = playing(subject.forger, subject.sample, recipe, rules_of(config))
    mesh = sharding.make_mesh({"data": devices}, jax.devices()[:devices])
    states = jax.jit(jax.vmap(play.initial))(jax.random.split(jax.random.key(0), pairs))
    states, data = sharding.place_batch(mesh, states), sharding.replicate(mesh, subject.data)
    placed = Chunk(jax.tree.map(lambda leaf: leaf.sharding, states), None, None)
    chunk = jax.jit(chunk_of(play.step, chunk_steps, runs="vmap"), donate_argnums=0, out_shardings=placed)
    compile_seconds, chunk = timed(lambda: chunk.lower(states, *data).compile())
    seconds, losses = [], np.zeros(())
    for _ in range(chunks + 1):
        elapsed, (states, metrics, _) = timed(chunk, states, *data)
        seconds.append(elapsed / chunk_steps)
        losses = np.asarray(metrics["discriminator"])
    return {"compile_seconds": compile_seconds, "seconds": seconds[1:], "loss": float(losses.mean()),
            "jax": jax.__version__, "device": jax.devices()[0].device_kind}


def _drawn_from(subject, config):
    """What batches are drawn from, as players see it."""
    forger = subject.forger
    if config.dataset in MIXTURES:
        mixture = MIXTURES[config.dataset]
        return {"data.centres": np.float32(mixture.centres / forger.scale),
                "data.sigma": np.float32(mixture.sigma / forger.scale)}
    part, = subject.data
    return {"data.images": np.asarray(forger.as_seen(part.images), np.float32),
            "data.labels": np.asarray(part.labels, np.int64)}


def _drawn(rng, shape):
    """Of a kernel, as He has it; of a vector, about 1."""
    return rng.normal(size=shape) * (2 / np.prod(shape[:-1])) ** 0.5 if len(shape) > 1 else rng.uniform(0.5, 1.5, shape)


if __name__ == "__main__":
    serve({"reference": reference, "learn": learn})
