"""Our half, in a process of its own: python -m experiments.benchmarks.ours TASK FILE OPTIONS.

FILE is an npz, OPTIONS and the one printed line are JSON: the protocol that peers.py speaks as well.
"""

import json
import os
import resource
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

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

    clock = time.perf_counter()
    fit = jax.jit(fit).lower(data[0]).compile()
    compile_seconds = time.perf_counter() - clock
    timed = [[_timed(fit, one) for one in data] for _ in range(repeats)]
    rmse = []
    for k, (_, params) in enumerate(timed[0]):
        user, item, rating = file[f"test{k}"].T
        prediction = predict(params, user.astype(int), item.astype(int))
        low, high = file["scale"]
        rmse.append(float(np.sqrt(np.mean((np.clip(prediction, low, high) - rating) ** 2))))
    return {"compile_seconds": compile_seconds, "rmse": float(np.mean(rmse)),
            "seconds": [[seconds for seconds, _ in fold] for fold in timed]}


def sweep_pairs(file, *, rank, sweeps):
    """Implicit ALS, the rows shared among all cores: seconds to compile and to pack, seconds a sweep."""
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
    clock = time.perf_counter()
    sweep = jax.jit(lambda params, data: als.implicit_sweep(
        params, data, unobserved_weight=0.1, l2=0.1, power=0.75, mesh=mesh)).lower(params, data).compile()
    compile_seconds = time.perf_counter() - clock
    seconds = []
    for _ in range(sweeps):
        elapsed, params = _timed(sweep, params, data)
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


def _timed(function, *arguments):
    clock = time.perf_counter()
    result = jax.block_until_ready(function(*arguments))
    return time.perf_counter() - clock, result


if __name__ == "__main__":
    task, path, options = sys.argv[1:]
    if task == "sweep_pairs":
        jax.config.update("jax_num_cpu_devices", os.cpu_count())
    run = {"fit_ratings": fit_ratings, "sweep_pairs": sweep_pairs}[task]
    with np.load(path) as archive:
        report = run(dict(archive), **json.loads(options))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(report | {"peak_bytes": peak}))
