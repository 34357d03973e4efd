"""What the experiment learned, in hand: forge samples, and hear how real the discriminator takes them for."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.runner.errors import UserError
from sandbox import gan
from sandbox.gan import Players

AT_ONCE = 500  # samples; what a network keeps of them grows with it


@dataclasses.dataclass(frozen=True)
class Forger:
    """K pairs of a generator and a discriminator.

    networks: of both. latent_size: numbers that a sample is made of. shape: of a sample. scale, offset: data are what
    players see times scale plus offset. num_classes: that samples are asked for by; 0: by none. max_pixel: 0 for what
    is no image. params: Players of all K, stacked; None before there are any.
    """

    networks: Players
    latent_size: int
    shape: tuple[int, ...]
    scale: float
    offset: float = 0.0
    num_classes: int = 0
    max_pixel: int = 0
    params: Any = dataclasses.field(default=None, repr=False)

    @property
    def num(self) -> int:
        """How many there are."""
        return jax.tree.leaves(self.params)[0].shape[0]

    @property
    def num_parameters(self) -> Players:
        """Of one of each."""
        return Players(*(sum(leaf[0].size for leaf in jax.tree.leaves(player)) for player in self.params))

    def init(self, key: jax.Array) -> Players:
        """Parameters of one pair, drawn."""
        labels = (jnp.zeros(1, jnp.int32),) if self.num_classes else ()
        inputs = jnp.zeros((1, self.latent_size)), jnp.zeros((1, *self.shape))
        return Players(*(network.init(one, first, *labels)
                         for network, one, first in zip(self.networks, jax.random.split(key), inputs)))

    def with_params(self, params: Players) -> "Forger":
        """The same, of these parameters."""
        return dataclasses.replace(self, params=params)

    def forge(self, num: int, labels: np.ndarray | None = None, seed: int = 0, forger: int = 0) -> np.ndarray:
        """Samples of one generator: points (num, 2), or pixels (num, H, W, C) of uint8.

        Args:
          labels: (num,) classes; without them each in its turn. seed: of the latents. forger: which of the K.
        """
        if num < 1:
            raise UserError(f"num must be at least 1, got {num}")
        if self.num_classes and labels is None:
            labels = np.arange(num) % self.num_classes
        labels, one = self._labels(labels, num), self._nth(self.params.generator, forger)
        return np.asarray(_forged(dataclasses.replace(self, params=None), one, jax.random.key(seed), num, labels))

    def realness(self, samples: np.ndarray, labels: np.ndarray | None = None, forger: int = 0) -> np.ndarray:
        """The discriminator's logits of samples as `forge` returns them, (N,)."""
        samples = np.asarray(samples, np.float32)
        if samples.shape[1:] != self.shape:
            raise UserError(f"samples must be (N, {', '.join(map(str, self.shape))}), got {samples.shape}")
        labels, one = self._labels(labels, len(samples)), self._nth(self.params.discriminator, forger)
        conditions = () if labels is None else (labels,)
        return np.asarray(_realness(self.networks.discriminator, one, self.as_seen(samples), conditions))

    def _labels(self, labels: Any, num: int) -> np.ndarray | None:
        if not self.num_classes or labels is None:
            if self.num_classes or labels is not None:
                raise UserError(f"labels must be {'given' if self.num_classes else 'left out: there are no classes'}")
            return None
        labels = np.asarray(labels)
        whole = labels.shape == (num,) and np.issubdtype(labels.dtype, np.integer)
        if not whole or not np.all((labels >= 0) & (labels < self.num_classes)):
            raise UserError(f"labels must be {num} whole numbers of 0 to {self.num_classes - 1}, got {labels}")
        return labels

    def _nth(self, player: Any, number: int) -> Any:
        if not 0 <= number < self.num:
            raise UserError(f"forger must be 0 to {self.num - 1}, got {number}")
        return jax.tree.map(lambda leaf: leaf[number], player)

    def as_seen(self, data: jax.Array) -> jax.Array:
        """Data as players see them."""
        return (data - self.offset) / self.scale

    def forged(self, generator: Any, key: jax.Array, num: int, labels: Any = None) -> jax.Array:
        """Samples of a generator's parameters as the data are; to be compiled, what it keeps is that of AT_ONCE."""
        latents = gan.draw_latents(key, num, self.latent_size)
        conditions = () if labels is None else (jnp.asarray(labels),)

        def one(inputs):
            seen = self.networks.generator.apply(generator, *(each[None] for each in inputs))[0]
            data = seen * self.scale + self.offset
            return jnp.rint(data).clip(0, self.max_pixel).astype(jnp.uint8) if self.max_pixel else data

        return jax.lax.map(one, (latents, *conditions), batch_size=min(AT_ONCE, num))


@partial(jax.jit, static_argnums=(0, 3))
def _forged(forger, generator, key, num, labels):
    return forger.forged(generator, key, num, labels)


@partial(jax.jit, static_argnums=0)
def _realness(network, params, samples, conditions):
    return network.apply(params, samples, *conditions)
