"""Who chose what, generated at the size of a real service."""

import numpy as np


def zipf_pairs(num_users: int, num_items: int, num_pairs: int, seed: int = 0
               ) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a user and an item, long-tailed on both sides: log-normal activity, Zipf popularity.

    Args:
      num_users, num_items: U, I.
      num_pairs: N; a pair may repeat, as a film may be watched again.
    Returns:
      user, item: (N,) int32, by growing user.

    >>> user, item = zipf_pairs(3, 5, 10)
    >>> len(user), bool((np.diff(user) >= 0).all()), int(item.max()) < 5
    (10, True, True)
    """
    rng = np.random.default_rng(seed)
    activity = rng.lognormal(sigma=1.0, size=num_users)
    count = rng.multinomial(num_pairs, activity / activity.sum())
    user = np.repeat(np.arange(num_users, dtype=np.int32), count)
    popularity = np.cumsum((np.arange(num_items) + 50.0) ** -0.9)
    rank = np.searchsorted(popularity, popularity[-1] * rng.random(num_pairs))
    return user, rng.permutation(num_items).astype(np.int32)[rank]
