"""The score that the experiment learned, in hand: samples, densities, what is missing of an image."""

import dataclasses
import math
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from experiments.diffusing.groups import in_groups
from experiments.diffusing.sampling import SAMPLERS
from experiments.runner.errors import UserError
from sandbox import score_matching
from sandbox.score_matching import Likelihood, Sampled

DIRECTIONS_AT_ONCE, NUMBERS_AT_ONCE = 4000, 2**24  # of rows' traces, and of rows and their bins: memory grows with it
DRAWING = 2**31 + 1  # folded into a user's seed, so that nothing is drawn by the key of a seed that learned
LEAST_EVALUATIONS = 3
WIDTH = 0.4  # of all points, at which the flow that makes clusters of them has most to do
CLASSLESS = None  # as labels: of any class


@dataclasses.dataclass(frozen=True)
class Diffuser:
    """K scores learned alike.

    network: F of points, or logits of images' counts. sigma_data, mean: of the data. least_level, most_level: of noise.
    shape: of a row of data. num_classes: that images are of, 0 for points. max_pixel: 0 for what is no image. params:
    of all K, stacked; None before there are any.
    """

    network: nn.Module
    sigma_data: float
    mean: float
    least_level: float
    most_level: float
    shape: tuple[int, ...]
    num_classes: int = 0
    max_pixel: int = 0
    params: Any = dataclasses.field(default=None, repr=False)

    @property
    def num(self) -> int:
        """How many there are."""
        return jax.tree.leaves(self.params)[0].shape[0]

    @property
    def num_parameters(self) -> int:
        """Of one of them."""
        return sum(leaf[0].size for leaf in jax.tree.leaves(self.params))

    def with_params(self, params: Any) -> "Diffuser":
        """The same, of these parameters."""
        return dataclasses.replace(self, params=params)

    def init(self, key: jax.Array) -> Any:
        """Parameters of one, drawn."""
        labels = (jnp.zeros(1, jnp.int32),) if self.num_classes else ()
        return self.network.init(key, jnp.zeros((1, *self.shape)), jnp.zeros(1), *labels)

    def score_fn(self, params: Any, x: jax.Array, level: jax.Array, *conditions: jax.Array) -> jax.Array:
        """s(x, σ), (N, *shape), of one's parameters: see sandbox.score_matching."""
        if self.max_pixel:
            of_level = score_matching.binned(self.network.apply, num_bins=self.max_pixel + 1,
                                             sigma_data=self.sigma_data, mean=self.mean)
        else:
            of_level = score_matching.preconditioned(self.network.apply, self.sigma_data, self.mean)
        return of_level(params, x, level, *conditions)

    def score(self, x: np.ndarray, level: float, labels: Any = CLASSLESS, model: int = 0) -> np.ndarray:
        """∇ log p_σ at points (N, *shape), in units of the data (counts plus 1/2 of images), at one level σ."""
        rows = self._rows("x", x)
        if not level > 0:
            raise UserError(f"level must be above 0, got {level}")
        conditions = self._conditions(labels, len(rows))
        return np.asarray(_score(self._bare(), self._nth(model), rows, jnp.full(len(rows), level), conditions))

    def sample(self, num: int, labels: Any = CLASSLESS, *, sampler: str = "heun", evaluations: int = 35,
               guidance: float = 1.0, seed: int = 0, model: int = 0) -> np.ndarray:
        """Samples: points (num, 2), or pixels (num, H, W, C) of uint8.

        Args:
          labels: (num,) classes of images; without them any. sampler: one of SAMPLERS. evaluations: of the network for
            each sample, at most. guidance: 1 as learned; above 1 more like its class. model: which of the K.
        """
        if num < 1:
            raise UserError(f"num must be at least 1, got {num}")
        self._check_sampler(sampler, evaluations)
        if labels is CLASSLESS and guidance != 1:
            raise UserError(f"guidance must be 1 where no labels are given, got {guidance}")
        conditions = self._conditions(labels, num)
        drawn = _drawn(self._bare(), self._nth(model), _key(seed), num, conditions, sampler, evaluations,
                       float(guidance))
        return np.asarray(drawn)

    def log_density(self, x: np.ndarray, labels: Any = CLASSLESS, *, steps: int = 20, projections: int = 0,
                    seed: int = 0, model: int = 0) -> np.ndarray:
        """log p in nats, (N,), of points, or of images of counts, dequantised by the seed.

        Args:
          steps: of the flow, of four evaluations each. projections: of Hutchinson's trace; 0: the exact one.
        """
        if steps < 1:
            raise UserError(f"steps must be at least 1, got {steps}")
        if projections < 0:
            raise UserError(f"projections must be 0 or more, got {projections}")
        rows = self._rows("x", x)
        of_uniform, of_projections = jax.random.split(_key(seed))
        if self.max_pixel:
            rows = score_matching.dequantised(rows, jax.random.uniform(of_uniform, rows.shape))
        found = _likelihood(self._bare(), self._nth(model), rows, self._conditions(labels, len(rows)), steps,
                            projections, of_projections)
        return np.asarray(found.log_density)

    def inpaint(self, images: np.ndarray, mask: np.ndarray, labels: Any = CLASSLESS, *, sampler: str = "heun",
                evaluations: int = 101, seed: int = 0, model: int = 0) -> np.ndarray:
        """Images or points with what is missing drawn anew, given the rest.

        Args:
          images: (N, *shape). mask: of one or of each of them, true where `images` are known.
        """
        x = self._rows("images", images)
        known = np.asarray(mask, bool)
        if known.shape == self.shape[:2] and known.ndim < len(self.shape):
            known = np.broadcast_to(known[..., None], self.shape)
        if known.shape not in (self.shape, x.shape):
            raise UserError(f"mask must be {self.shape} or {x.shape}, got {known.shape}")
        known = np.broadcast_to(known, x.shape)
        self._check_sampler(sampler, evaluations)
        seen = x + 0.5 if self.max_pixel else x
        drawn = np.asarray(_inpainted(self._bare(), self._nth(model), _key(seed), seen, jnp.asarray(known),
                                      self._conditions(labels, len(x)), sampler, evaluations))
        return np.where(known, np.asarray(x).astype(drawn.dtype), drawn)

    def sampled(self, params: Any, key: jax.Array, num: int, conditions: tuple = (), *, sampler: str = "heun",
                evaluations: int = 35, guidance: float = 1.0) -> Sampled:
        """Samples of one's parameters, in the units of the data, with their path; to be compiled."""
        given = partial(self._bound, params, conditions)
        score_fn = given if guidance == 1 else score_matching.guided(
            given, partial(self._bound, params, self._any_class(num)), guidance)
        return self._run(sampler, key, num, score_fn, evaluations)

    def drawn(self, params: Any, key: jax.Array, num: int, conditions: tuple = (), **how: Any) -> jax.Array:
        """Samples as their user wants them, pixels of images, so many at a time that memory suffices; to be compiled.

        Args:
          how: see `sampled`.
        """
        def some(rows):
            number, own = rows
            return self.as_pixels(self.sampled(params, jax.random.fold_in(key, number[0]), len(number), own, **how
                                               ).samples)

        numbers = math.prod(self.shape) * (self.max_pixel + 1)
        return in_groups(some, (jnp.arange(num), conditions), NUMBERS_AT_ONCE // numbers)

    def inpainted(self, params: Any, key: jax.Array, seen: jax.Array, mask: jax.Array, conditions: tuple = (), *,
                  sampler: str = "heun", evaluations: int = 101) -> Sampled:
        """Samples given what is seen where the mask is true, (N, *shape) each; to be compiled."""
        score_fn = score_matching.inpainted(partial(self._bound, params, conditions), seen, mask, self.sigma_data)
        return self._run(sampler, key, len(seen), score_fn, evaluations)

    def likelihood(self, params: Any, x: jax.Array, conditions: tuple = (), *, steps: int = 20, projections: int = 0,
                   key: jax.Array | None = None) -> Likelihood:
        """log p of rows in the units of the data, some at a time; to be compiled.

        Args:
          key: of the projections, where there are any.
        """
        if projections and key is None:
            raise ValueError("key must be given where there are projections, or the trace would be another")
        levels = self.likelihood_levels(steps)
        signs = None if key is None or not projections else score_matching.draw_projections(
            key, x.shape, projections).astype(x.dtype)

        def some(rows):
            x, conditions, signs = rows
            return score_matching.log_likelihood(
                x, score_fn=partial(self._bound, params, conditions), levels=levels, sigma_data=self.sigma_data,
                mean=self.mean, projections=signs)

        return in_groups(some, (x, conditions, signs), DIRECTIONS_AT_ONCE // math.prod(self.shape))

    def likelihood_levels(self, steps: int) -> np.ndarray:
        """Levels that a likelihood is integrated over."""
        if self.max_pixel:  # the edges of bins are seen at every scale
            return score_matching.geometric_levels(steps, self.least_level, self.most_level)
        return score_matching.tangent_levels(steps, self.least_level, self.most_level, WIDTH * self.sigma_data)

    def as_pixels(self, samples: jax.Array) -> jax.Array:
        """Counts, uint8, of samples of images; points as they are."""
        if not self.max_pixel:
            return samples
        return jnp.floor(samples).clip(0, self.max_pixel).astype(jnp.uint8)

    def _bound(self, params: Any, conditions: tuple, x: jax.Array, level: jax.Array) -> jax.Array:
        return self.score_fn(params, x, level, *conditions)

    def _run(self, sampler: str, key: jax.Array, num: int, score_fn: Any, evaluations: int) -> Sampled:
        """From data so noised that nothing is left of them but their mean and width."""
        of_start, of_noise = jax.random.split(key)
        width = math.hypot(self.most_level, self.sigma_data)
        start = self.mean + width * jax.random.normal(of_start, (num, *self.shape))
        return SAMPLERS[sampler](of_noise, start.shape, score_fn=score_fn, evaluations=evaluations,
                                 least=self.least_level, most=self.most_level, start=start)

    def _any_class(self, num: int) -> tuple:
        return (jnp.full(num, self.num_classes, jnp.int32),) if self.num_classes else ()

    def _bare(self) -> "Diffuser":
        return dataclasses.replace(self, params=None)

    def _nth(self, number: int) -> Any:
        if not 0 <= number < self.num:
            raise UserError(f"model must be 0 to {self.num - 1}, got {number}")
        return jax.tree.map(lambda leaf: leaf[number], self.params)

    def _rows(self, name: str, rows: Any) -> jax.Array:
        rows = np.asarray(rows, np.float32)
        if self.max_pixel and rows.shape == (len(rows), *self.shape[:2]) and self.shape[2] == 1:
            rows = rows[..., None]
        if rows.shape != (len(rows), *self.shape) or not len(rows):
            raise UserError(f"{name} must be (N, {', '.join(map(str, self.shape))}), got {rows.shape}")
        return jnp.asarray(rows)

    def _conditions(self, labels: Any, num: int) -> tuple:
        if labels is CLASSLESS:
            return self._any_class(num)
        if not self.num_classes:
            raise UserError("labels must be left out: there are no classes")
        labels = np.asarray(labels)
        whole = labels.shape == (num,) and np.issubdtype(labels.dtype, np.integer)
        if not whole or not np.all((labels >= 0) & (labels < self.num_classes)):
            raise UserError(f"labels must be {num} whole numbers of 0 to {self.num_classes - 1}, got {labels}")
        return (jnp.asarray(labels, jnp.int32),)

    def _check_sampler(self, sampler: str, evaluations: int) -> None:
        if sampler not in SAMPLERS:
            raise UserError(f"sampler must be one of {', '.join(SAMPLERS)}, got {sampler!r}")
        if evaluations < LEAST_EVALUATIONS:
            raise UserError(f"evaluations must be at least {LEAST_EVALUATIONS}, got {evaluations}")


def _key(seed: int) -> jax.Array:
    return jax.random.fold_in(jax.random.key(seed), DRAWING)


@partial(jax.jit, static_argnums=0)
def _score(diffuser, params, x, level, conditions):
    return diffuser.score_fn(params, x, level, *conditions)


@partial(jax.jit, static_argnums=(0, 3, 5, 6, 7))
def _drawn(diffuser, params, key, num, conditions, sampler, evaluations, guidance):
    return diffuser.drawn(params, key, num, conditions, sampler=sampler, evaluations=evaluations, guidance=guidance)


@partial(jax.jit, static_argnums=(0, 4, 5))
def _likelihood(diffuser, params, x, conditions, steps, projections, key):
    return diffuser.likelihood(params, x, conditions, steps=steps, projections=projections, key=key)


@partial(jax.jit, static_argnums=(0, 6, 7))
def _inpainted(diffuser, params, key, seen, mask, conditions, sampler, evaluations):
    return diffuser.as_pixels(diffuser.inpainted(params, key, seen, mask, conditions, sampler=sampler,
                                                 evaluations=evaluations).samples)
