"""Networks that scores are made of: a perceptron for points, and convolutions about one for images."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

__all__ = ["ImageLogits", "PointNetwork", "waves_of"]

ZEROS = nn.initializers.zeros
HALF = nn.initializers.variance_scaling(0.5, "fan_in", "truncated_normal")


class PointNetwork(nn.Module):
    """F(x, τ) of points: a perceptron of residual layers, each of which is told the time; 0 at first.

    width, layers: of the perceptron. octaves: of waves of each coordinate, beside the coordinate.

    Source: Tancik et al. 2020, "Fourier features let networks learn high frequency functions in low dimensional
    domains".

    >>> network = PointNetwork(width=8, layers=1)
    >>> jax.eval_shape(network.init_with_output, jax.random.key(0), jnp.zeros((3, 2)), jnp.zeros(3))[0].shape
    (3, 2)
    """

    width: int = 128
    layers: int = 3
    octaves: int = 2

    @nn.compact
    def __call__(self, points: jax.Array, time: jax.Array) -> jax.Array:
        """(N, D) of points (N, D), of variance 1 about, and times (N,), of size 1 about."""
        time = jnp.concatenate([time[:, None], waves_of(2 * time[:, None], 4)], axis=-1)
        h = nn.Dense(self.width, name="in")(jnp.concatenate([points, waves_of(points, self.octaves), time], axis=-1))
        for number in range(self.layers):
            h += nn.Dense(self.width, name=f"hidden_{number}")(jnp.concatenate([nn.silu(h), time], axis=-1))
        return nn.Dense(points.shape[-1], kernel_init=ZEROS, name="out")(nn.silu(h))


class ImageLogits(nn.Module):
    """Logits of each pixel's count, from a noised image, its time and its class; 0 at first.

    A convolution looks at each pixel's neighbourhood; a perceptron of residual layers, which time and class steer, at
    the whole; a second convolution at both, and tells every pixel in the same way what they make of it.

    num_bins: K, counts that a pixel may have. channels: of the convolutions. width, layers: of the perceptron.
    num_classes: of the images, 0 for those without; the label num_classes stands for any of them. conv: what `nn.Conv`
    takes as conv_general_dilated.

    Source: Peebles, Xie 2023, "Scalable diffusion models with transformers", section 3.2, for how time and class steer.

    >>> network = ImageLogits(num_bins=17, channels=4, width=8, layers=1, num_classes=10)
    >>> inputs = jnp.zeros((3, 8, 8, 1)), jnp.zeros(3), jnp.zeros(3, int)
    >>> jax.eval_shape(network.init_with_output, jax.random.key(0), *inputs)[0].shape
    (3, 8, 8, 1, 17)
    """

    num_bins: int
    channels: int = 8
    width: int = 256
    layers: int = 3
    num_classes: int = 0
    conv: Callable[..., jax.Array] | None = None  # by JAX's own where there is none

    @nn.compact
    def __call__(self, images: jax.Array, time: jax.Array, labels: jax.Array | None = None) -> jax.Array:
        """(N, H, W, C, K) of images (N, H, W, C), of variance 1 about, times (N,), of size 1 about, labels (N,)."""
        if (labels is None) is not (self.num_classes == 0):
            raise ValueError(f"labels must be {'given' if self.num_classes else 'left out'} where num_classes is "
                             f"{self.num_classes}")
        steering = nn.Dense(self.width, name="time")(waves_of(time[:, None], 6))
        if labels is not None:
            steering += nn.Embed(self.num_classes + 1, self.width, embedding_init=nn.initializers.normal(0.5),
                                 name="class")(labels)
        steering = nn.silu(steering)
        near = self._seen(images, self.channels, steering, "near")
        far = self._perceptron(near.reshape(len(near), -1), steering)
        far = nn.Dense(near[0].size, name="far")(far).reshape(near.shape)
        both = self._seen(jnp.concatenate([near, far], axis=-1), 2 * self.channels, steering, "both")
        logits = nn.Dense(images.shape[-1] * self.num_bins, kernel_init=ZEROS, name="out")(both)
        return logits.reshape(*images.shape, self.num_bins)

    def _seen(self, x: jax.Array, channels: int, steering: jax.Array, name: str) -> jax.Array:
        steered = nn.Dense(channels, name=f"{name}_steered")(steering)[:, None, None]
        return nn.silu(nn.Conv(channels, (3, 3), conv_general_dilated=self.conv, name=name)(x) + steered)

    def _perceptron(self, x: jax.Array, steering: jax.Array) -> jax.Array:
        h = nn.Dense(self.width, name="whole")(x)
        for number in range(self.layers):
            steered = nn.Dense(self.width, name=f"hidden_{number}_steered")(steering)
            inner = nn.silu(nn.LayerNorm(name=f"norm_{number}")(h) + steered)
            h += nn.Dense(self.width, kernel_init=HALF, name=f"hidden_{number}")(inner)
        return nn.silu(nn.LayerNorm(name="norm_out")(h))


def waves_of(x: jax.Array, octaves: int) -> jax.Array:
    """sin 2ᵏ x and cos 2ᵏ x, k = 0 ... octaves − 1, by which a network tells near values apart.

    Args:
      x: (N, D), of size 1 about. octaves: 0 or more.
    Returns:
      (N, 2 octaves D).

    >>> waves_of(jnp.zeros((1, 1)), 2)
    Array([[0., 1., 0., 1.]], dtype=float32)
    """
    seen, sin, cos = [], jnp.sin(x), jnp.cos(x)
    for _ in range(octaves):
        seen += [sin, cos]
        sin, cos = 2 * sin * cos, 1 - 2 * sin**2  # of twice the angle, which costs less than to ask for them
    return jnp.concatenate([*seen, x[:, :0]], axis=-1)
