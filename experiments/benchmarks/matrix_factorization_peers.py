"""Surprise's and implicit's half of the recommenders' benchmark, for an interpreter that has them."""

# pyright: reportMissingImports=false
import os
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # implicit runs its own threads, and asks for this

import numpy as np

from experiments.benchmarks.side import serve


def fit_ratings(file, *, repeats):
    """Surprise's SVD as it comes: seconds a fold, test RMSE a fold."""
    from surprise import SVD, Dataset, Reader

    reader = Reader(rating_scale=tuple(file["scale"]))
    folds = []
    for k in range(int(file["num_folds"])):
        rows = [(int(u), int(i), float(r), None) for u, i, r in file[f"train{k}"]]
        data = Dataset(reader)
        test = [(int(u), int(i), float(r)) for u, i, r in file[f"test{k}"]]
        folds.append((data.construct_trainset(rows), test))
    seconds, rmse = [], []
    for _ in range(repeats):
        seconds.append([])
        for train, test in folds:
            model = SVD(random_state=0)
            clock = time.perf_counter()
            model.fit(train)
            seconds[-1].append(time.perf_counter() - clock)
            if len(rmse) < len(folds):
                error = [model.predict(user, item).est - rating for user, item, rating in test]
                rmse.append(float(np.sqrt(np.mean(np.square(error)))))
    return {"seconds": seconds, "rmse": float(np.mean(rmse))}


def sweep_pairs(file, *, rank, sweeps):
    """implicit's exact ALS on all cores: seconds a sweep, as the library times them itself."""
    import scipy.sparse
    from implicit.als import AlternatingLeastSquares

    shape = int(file["num_users"]), int(file["num_items"])
    one = np.ones(len(file["user"]), np.float32)
    chosen = scipy.sparse.csr_matrix((one, (file["user"], file["item"])), shape)
    model = AlternatingLeastSquares(factors=rank, regularization=0.01, use_cg=False, use_gpu=False,
                                    num_threads=0, iterations=sweeps, random_state=0)
    seconds = []
    model.fit(chosen, show_progress=False, callback=lambda _, elapsed, *rest: seconds.append(elapsed))
    return {"seconds": seconds}


if __name__ == "__main__":
    serve({"fit_ratings": fit_ratings, "sweep_pairs": sweep_pairs})
