"""Our half of the recommenders' benchmark."""

import os
import time

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.side import compiled, serve, timed
from sandbox.matrix_factorization import als
from sandbox.matrix_factorization.model import Ratings, init, predict
from sandbox.sharding import make_mesh, place_batch, replicate


def fit_ratings(file, *, rank, sweeps, l2, bias_l2, repeats):
    """Explicit ALS on every fold: seconds to compile once, seconds a fold, clipped test RMSE a fold."""
    num_folds, sizes = int(file["num_folds"]), _sizes(file)
    train = [_ratings(file[f"train{k}"]) for k in range(num_folds)]
    shapes = als.layouts(train, **sizes, widths=(64, 256))  # few blocks: little to compile
    data = [jax.device_put(als.pack_ratings(one, **sizes, shapes=shapes)) for one in train]
    start = init(jax.random.key(0), rank=rank, **sizes)

    def fit(data):
        mean = jnp.sum(data.ratings.rating * data.ratings.weight) / jnp.sum(data.ratings.weight)
        return jax.lax.fori_loop(0, sweeps, lambda _, params: als.explicit_sweep(
            params, data, l2=l2, bias_l2=bias_l2), start._replace(mean=mean))

    compile_seconds, fit = compiled(fit, data[0])
    runs = [[timed(fit, one) for one in data] for _ in range(repeats)]
    rmse = []
    for k, (_, params) in enumerate(runs[0]):
        user, item, rating = file[f"test{k}"].T
        prediction = predict(params, user.astype(int), item.astype(int))
        low, high = file["scale"]
        rmse.append(float(np.sqrt(np.mean((np.clip(prediction, low, high) - rating) ** 2))))
    return {"compile_seconds": compile_seconds, "rmse": float(np.mean(rmse)),
            "seconds": [[seconds for seconds, _ in fold] for fold in runs]}


def sweep_pairs(file, *, rank, sweeps):
    """Implicit ALS, the rows shared among all cores: seconds to compile and to pack, seconds a sweep."""
    jax.config.update("jax_num_cpu_devices", os.cpu_count())
    sizes, count = _sizes(file), len(file["user"])
    mesh = make_mesh({"data": jax.device_count()})
    one = np.ones(count, np.float32)
    clock = time.perf_counter()
    ratings = Ratings(file["user"], file["item"], one, one)
    shapes = als.layouts([ratings], **sizes, multiple=jax.device_count())
    packed = als.pack_ratings(ratings, **sizes, shapes=shapes)
    data = als.Data(replicate(mesh, packed.ratings), place_batch(mesh, packed.by_user),
                    place_batch(mesh, packed.by_item))
    pack_seconds = time.perf_counter() - clock
    del packed
    params = replicate(mesh, init(jax.random.key(0), rank=rank, **sizes))
    compile_seconds, sweep = compiled(lambda params, data: als.implicit_sweep(
        params, data, unobserved_weight=0.1, l2=0.1, power=0.75, mesh=mesh), params, data)
    seconds = []
    for _ in range(sweeps):
        elapsed, params = timed(sweep, params, data)
        seconds.append(elapsed)
    memory = sweep.memory_analysis()
    return {"pack_seconds": pack_seconds, "compile_seconds": compile_seconds, "seconds": seconds,
            "temporary_bytes": memory.temp_size_in_bytes if memory else 0}


def _ratings(table):
    user, item, rating = table.T
    return Ratings(user.astype(np.int32), item.astype(np.int32), rating.astype(np.float32),
                   np.ones(len(table), np.float32))


def _sizes(file):
    return {"num_users": int(file["num_users"]), "num_items": int(file["num_items"])}


if __name__ == "__main__":
    serve({"fit_ratings": fit_ratings, "sweep_pairs": sweep_pairs})
