"""What Gaussians make of the same dequantised images: the least that a learned score has to do better."""

import itertools
import math
import warnings
from typing import NamedTuple

import numpy as np

from experiments.data.images import Images, hold_out

NUMBERS, FLOORS = (20, 30, 40, 60, 80), (3e-3, 1e-2, 3e-2)  # of Gaussians, diagonal; and what each variance gains
MOST_FITTED, LEAST = 5000, 100  # images; fewer cannot be divided and still have as many as there are Gaussians


class Bits(NamedTuple):
    """Bits per dimension of unseen images: uniform, of a Gaussian, of the chosen one of so many mixtures."""

    uniform: float
    gaussian: float
    mixture: float
    chosen: str
    tried: int


def bits_of_mixtures(data: Images, seed: int) -> Bits:
    """Mixtures fitted to training images; the one taken has the fewest bits on a fifth of them that it did not see."""
    from sklearn.mixture import GaussianMixture  # a second to import, that only this needs

    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(data.train_labels))[:MOST_FITTED]
    few = data._replace(train_images=data.train_images[chosen], train_labels=data.train_labels[chosen])
    own = hold_out(few, 0.2)
    learned, held, whole, unseen = (_rows(rng, counts) for counts in (
        own.train_images, own.test_images, few.train_images, data.test_images))

    def fitted(rows, number, floor, kind="diag"):
        with warnings.catch_warnings(action="ignore"):  # one that has not converged is still a fit
            return GaussianMixture(number, covariance_type=kind, reg_covar=floor, max_iter=20,
                                   random_state=seed).fit(rows)

    def bits(mixture, rows):
        return -mixture.score(rows) / (rows.shape[1] * math.log(2))

    tried = {how: bits(fitted(learned, *how), held) for how in itertools.product(NUMBERS, FLOORS)}
    best = min(tried, key=lambda how: tried[how])
    return Bits(math.log2(data.max_pixel + 1), bits(fitted(whole, 1, FLOORS[0], "full"), unseen),
                bits(fitted(whole, *best), unseen), f"{best[0]} diagonal Gaussians", len(tried))


def _rows(rng: np.random.Generator, counts: np.ndarray) -> np.ndarray:
    return (counts + rng.random(counts.shape)).reshape(len(counts), -1)
