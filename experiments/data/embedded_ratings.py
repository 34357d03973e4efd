"""Ratings drawn from a known low-rank model: nothing to fetch, and the best possible error is known."""

from typing import NamedTuple

import numpy as np

from experiments.data.ratings import Fold, RatingTable, held_out_masks, select

MEAN_RATING = 3.0
BIAS_STD = 0.25
TASTE_STD = 0.5
FIRST_SECOND = 1_577_836_800  # 2020-01-01, Unix seconds
NUM_SECONDS = 2 * 365 * 86_400

ADJECTIVES = ("Amber", "Borrowed", "Broken", "Crimson", "Distant", "Drifting", "Electric", "Forgotten",
              "Frozen", "Gilded", "Hidden", "Hollow", "Last", "Midnight", "Paper", "Quiet", "Restless",
              "Scarlet", "Silver", "Winter")
NOUNS = ("Algebra", "Bridge", "Cartographer", "Comet", "Garden", "Harbour", "Horizon", "Island", "Kingdom",
         "Lantern", "Lighthouse", "Meridian", "Museum", "Orchard", "Parade", "River", "Station", "Theorem",
         "Voyage", "Waltz")


class LowRankRatings(NamedTuple):
    """A table, and what drew it: expected (N,) holds each rating without its noise of std noise_std."""

    table: RatingTable
    expected: np.ndarray
    noise_std: float


def generate(*, num_users: int = 300, num_items: int = 400, num_ratings: int = 20_000, rank: int = 4,
             noise_std: float = 0.4, seed: int = 0) -> LowRankRatings:
    """Draw distinct (user, item) pairs, the popular far more often, and rate them.

    r_ui = μ + b_u + b_i + q_iᵀ p_u + ε_ui,  ε ~ N(0, noise_std²), neither rounded nor clipped: no
    predictor's expected squared error is below noise_std².

    Args:
      num_users, num_items, rank: U, I, D, each at least 1.
      num_ratings: N, 1 <= N <= U I.
      noise_std: standard deviation of ε, in rating units.
      seed: decides everything.
    Returns:
      LowRankRatings; the table's scale is the lowest and highest rating drawn.
    Raises:
      ValueError: a size out of bounds.

    >>> data = generate()
    >>> round(float(np.std(data.table.rating - data.expected)), 2)
    0.4
    """
    if min(num_users, num_items, rank) < 1 or not 1 <= num_ratings <= num_users * num_items:
        raise ValueError("num_users, num_items, rank >= 1 and 1 <= num_ratings <= num_users * num_items, but "
                         f"{num_users=}, {num_items=}, {rank=}, {num_ratings=}")
    rng = np.random.default_rng(seed)
    user, item = _pairs(rng, num_users, num_items, num_ratings)
    expected = _expected(rng, num_users, num_items, rank)[user, item]
    rating = (expected + noise_std * rng.standard_normal(num_ratings)).astype(np.float32)
    table = RatingTable(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        rating=rating,
        timestamp=FIRST_SECOND + rng.integers(NUM_SECONDS, size=num_ratings),
        user_ids=np.arange(num_users),
        item_ids=np.arange(num_items),
        titles=np.array([_title(i) for i in rng.permutation(num_items)]),
        scale=(float(rating.min()), float(rating.max())),
    )
    return LowRankRatings(table, expected.astype(np.float32), noise_std)


def folds(num_folds: int = 5, seed: int = 0, **sizes) -> tuple[Fold, ...]:
    """Cross-validation folds of `generate(**sizes, seed=seed)`, each with the RMSE of its own test noise.

    >>> [round(fold.noise_rmse, 2) for fold in folds(num_folds=2)]
    [0.4, 0.4]
    """
    data = generate(seed=seed, **sizes)
    squared_noise = (data.table.rating - data.expected) ** 2
    return tuple(
        Fold(select(data.table, ~test), select(data.table, test), float(np.sqrt(squared_noise[test].mean())))
        for test in held_out_masks(len(squared_noise), num_folds, seed)
    )


def _pairs(rng: np.random.Generator, num_users: int, num_items: int,
           num_ratings: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct pairs, drawn by an activity of users and a popularity of items that fall like a power law."""
    activity = rng.permutation((10.0 + np.arange(num_users)) ** -0.5)
    popularity = rng.permutation((10.0 + np.arange(num_items)) ** -0.8)
    chance = np.outer(activity, popularity).ravel()
    pair = rng.choice(chance.size, size=num_ratings, replace=False, p=chance / chance.sum())
    return np.divmod(pair, num_items)


def _expected(rng: np.random.Generator, num_users: int, num_items: int, rank: int) -> np.ndarray:
    """(U, I) noise-free ratings; the inner product has standard deviation TASTE_STD."""
    user_bias = BIAS_STD * rng.standard_normal(num_users)
    item_bias = BIAS_STD * rng.standard_normal(num_items)
    p = rng.standard_normal((num_users, rank))
    q = rng.standard_normal((num_items, rank)) * TASTE_STD / np.sqrt(rank)
    return MEAN_RATING + user_bias[:, None] + item_bias[None, :] + p @ q.T


def _title(number: int) -> str:
    again, number = divmod(int(number), len(ADJECTIVES) * len(NOUNS))
    adjective, noun = divmod(number, len(NOUNS))
    sequel = f" {again + 1}" if again else ""
    return f"The {ADJECTIVES[adjective]} {NOUNS[noun]}{sequel}"
