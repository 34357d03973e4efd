"""What the experiment learned, in hand: recommend, predict, find similar films, take in a new user."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.data.ratings import RatingTable
from experiments.runner.errors import UserError
from sandbox.matrix_factorization import gibbs, serving
from sandbox.matrix_factorization.conjugate import Gaussian
from sandbox.matrix_factorization.model import Params
from sandbox.matrix_factorization.posterior import Kept

_predict, _fold_in = jax.jit(gibbs.predict), jax.jit(gibbs.fold_in)
_top_n, _similar_items = (jax.jit(function, static_argnames="n") for function in (serving.top_n, serving.similar_items))


class Suggestion(NamedTuple):
    """An item for a user: its title, the rating expected, and how sure that is (posterior std)."""

    title: str
    rating: float
    std: float


@dataclasses.dataclass(frozen=True)
class Recommender:
    """kept: samples of the Bayesian model. item_factors (I, D): of the implicit model, for likeness.
    table: the training ratings, with ids, titles and scale."""

    kept: Kept
    item_factors: jax.Array
    table: RatingTable

    @staticmethod
    def of(learned: Mapping[str, Any], table: RatingTable) -> "Recommender":
        """From the nested dictionaries that a run directory holds."""
        samples = learned["kept"]["samples"]
        sample = gibbs.Sample(Params(**samples["params"]), Gaussian(**samples["users"]), Gaussian(**samples["items"]),
                              samples["noise_precision"])
        return Recommender(Kept(learned["kept"]["count"], sample), learned["item_factors"], table)

    def recommend(self, user_id: Any, n: int = 10) -> list[Suggestion]:
        """The n items (or all, if there are fewer) that a user has not rated and is expected to like best.

        A user id that the data do not have gets what an average user would like.
        """
        user = _position(self.table.user_ids, user_id)
        seen = self.table.item[self.table.user == user]
        mean, std = _predict(self.kept, jnp.full(self._num_items, user), jnp.arange(self._num_items))
        return self._best(mean, std, seen, n)

    def recommend_for(self, ratings: Mapping[Any, float], n: int = 10, seed: int = 0) -> list[Suggestion]:
        """The same for a new user, from a few ratings by title or item id; nothing is trained again."""
        item = np.array([self.item(key) for key in ratings], np.int32)
        rating = jnp.array([float(value) for value in ratings.values()], jnp.float32)
        low, high = self.table.scale
        if not bool(jnp.all((rating >= low) & (rating <= high))):
            raise UserError(f"ratings must be {low:g} to {high:g}, got {list(ratings.values())}")
        mean, std = _fold_in(jax.random.key(seed), self.kept, jnp.asarray(item), rating,
                                  jnp.ones_like(rating), jnp.arange(self._num_items))
        return self._best(mean, std, item, n)

    def predict(self, user_id: Any, item: Any) -> Suggestion:
        """The rating that a user would give an item; an unknown id on either side counts as average."""
        try:
            position = self.item(item)
        except UserError:
            position = -1
        mean, std = _predict(self.kept, jnp.array(_position(self.table.user_ids, user_id)), jnp.array(position))
        return Suggestion(self.title(position) if position >= 0 else str(item),
                          float(serving.clip(mean, self.table.scale)), float(std))

    def similar(self, item: Any, n: int = 5) -> list[tuple[str, float]]:
        """The n items (or all others, if there are fewer) liked by the same people, with the cosine of their factors.

        Args:
          item: title or id.
        """
        ids, cosine = _similar_items(self.item_factors, jnp.array([self.item(item)]), n=min(n, self._num_items - 1))
        return [(self.title(i), float(c)) for i, c in zip(np.asarray(ids[0]), cosine[0], strict=True)]

    def item(self, key: Any) -> int:
        """Position of an item, by its id, its title or the beginning of its title.

        Raises:
          UserError: no item has it, or titles of several begin so.
        """
        if (position := _position(self.table.item_ids, key)) >= 0:
            return position
        titles = [] if self.table.titles is None else self.table.titles.tolist()
        found = [k for k, title in enumerate(titles) if title == key] or [
            k for k, title in enumerate(titles) if title.lower().startswith(str(key).lower())]
        if len(found) == 1:
            return found[0]
        some = "; ".join(f"{titles[k]}, id {self.table.item_ids[k]}" for k in found[:5])
        raise UserError(f"no item is called {key!r}" if not found else f"{key!r} begins several titles: {some}")

    def title(self, position: int) -> str:
        """Title of an item, or its id where the data have no titles."""
        if self.table.titles is None:
            return f"item {self.table.item_ids[position]}"
        return str(self.table.titles[position])

    @property
    def _num_items(self) -> int:
        return len(self.table.item_ids)

    def _best(self, mean: jax.Array, std: jax.Array, seen: np.ndarray, n: int) -> list[Suggestion]:
        ids, _ = _top_n(mean[None], jnp.asarray(seen)[None], n=min(n, self._num_items))
        rating = serving.clip(mean, self.table.scale)
        return [Suggestion(self.title(i), float(rating[i]), float(std[i])) for i in np.asarray(ids[0]) if i >= 0]


def _position(ids: np.ndarray, key: Any) -> int:
    found = np.flatnonzero(ids == key)
    return int(found[0]) if len(found) else -1
