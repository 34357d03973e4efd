"""Our half of the recommenders' benchmark."""

import os
import time

import jax
import numpy as np
from jax.sharding import PartitionSpec

from experiments.benchmarks.side import compiled, serve, timed
from sandbox.matrix_factorization import als
from sandbox.matrix_factorization.model import Ratings, init, predict
from sandbox.sharding import make_mesh, place, place_batch


def fit_ratings(file, *, rank, sweeps, l2, bias_l2, repeats):
    """Explicit ALS on every fold: seconds to compile once, seconds a fold, clipped test RMSE a fold."""
    num_folds, sizes = int(file["num_folds"]), _sizes(file)
    train = [_ratings(file[f"train{k}"]) for k in range(num_folds)]
    shapes = als.layouts(train, **sizes, widths=(64, 256))  # few blocks: little to compile
    data = [jax.device_put((_mean(one), als.pack_sides(one, **sizes, shapes=shapes))) for one in train]
    start = init(jax.random.key(0), rank=rank, **sizes)

    def fit(data):
        mean, sides = data
        params = jax.lax.fori_loop(0, sweeps, lambda _, params: als.explicit_sweep(
            params, sides, l2=l2, bias_l2=bias_l2), als.arrange(start._replace(mean=mean), sides))
        return als.by_id(params, sides, **sizes)

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
    packed = als.pack_sides(ratings, **sizes, shards=jax.device_count())
    sides = place_batch(mesh, packed)
    pack_seconds = time.perf_counter() - clock
    del packed
    params = place(mesh, als.arrange(init(jax.random.key(0), rank=rank, **sizes), sides),
                   [("user_|item_", PartitionSpec("data"))])
    compile_seconds, sweep = compiled(lambda params, sides: als.implicit_sweep(
        params, sides, unobserved_weight=0.1, l2=0.1, power=0.75, mesh=mesh), params, sides)
    seconds = []
    for _ in range(sweeps):
        elapsed, params = timed(sweep, params, sides)
        seconds.append(elapsed)
    memory = sweep.memory_analysis()
    return {"pack_seconds": pack_seconds, "compile_seconds": compile_seconds, "seconds": seconds,
            "temporary_bytes": memory.temp_size_in_bytes if memory else 0}


def _ratings(table):
    user, item, rating = table.T
    return Ratings(user.astype(np.int32), item.astype(np.int32), rating.astype(np.float32),
                   np.ones(len(table), np.float32))


def _mean(ratings):
    return np.average(ratings.rating, weights=ratings.weight).astype(np.float32)


def _sizes(file):
    return {"num_users": int(file["num_users"]), "num_items": int(file["num_items"])}


if __name__ == "__main__":
    serve({"fit_ratings": fit_ratings, "sweep_pairs": sweep_pairs})
