"""Two convolutional networks without running statistics: a small one, and a residual one."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype

from sandbox.convolution.convolve import conv_general_dilated

__all__ = ["Affine", "ResidualNetwork", "SmallNetwork"]

HE = nn.initializers.variance_scaling(2.0, "fan_in", "truncated_normal")


class SmallNetwork(nn.Module):
    """A stem, stages of 3 × 3 convolutions, each half the size of the one before it, the mean over places, a head.

    num_classes: K. widths: channels of each stage. depths: 3 × 3 convolutions of each stage, the one that halves it not
    counted. stem_size, stem_strides: of the first convolution, in pixels. dtype: what it computes in.

    A layer is relu(a ∘ (w ∗ x) + b), w drawn as He et al. 2015 draw it, "Delving deep into rectifiers".

    >>> network = SmallNetwork(num_classes=10, widths=(4, 8), depths=(1, 0))
    >>> images = jnp.zeros((2, 8, 8, 1))
    >>> jax.eval_shape(network.init_with_output, jax.random.key(0), images)[0].shape
    (2, 10)
    """

    num_classes: int
    widths: tuple[int, ...] = (24, 48, 64)
    depths: tuple[int, ...] = (2, 2, 0)
    stem_size: int = 4
    stem_strides: int = 2
    dtype: Any = None

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Logits (N, K) of images (N, H, W, C)."""
        x = self._layer("stem", self.widths[0], self.stem_size, self.stem_strides)(images)
        for stage, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            if stage:
                x = self._layer(f"halve_{stage}", width, 3, 2)(x)
            for number in range(depth):
                x = self._layer(f"conv_{stage}_{number}", width, 3, 1)(x)
        return nn.Dense(self.num_classes, kernel_init=nn.initializers.zeros, dtype=self.dtype, name="head")(
            jnp.mean(x, axis=(1, 2)))

    def _layer(self, name: str, width: int, size: int, strides: int):
        def layer(x):
            x = nn.Conv(width, (size, size), (strides, strides), use_bias=False, kernel_init=HE, dtype=self.dtype,
                        conv_general_dilated=conv_general_dilated, name=name)(x)
            return nn.relu(Affine(name=f"{name}_affine", dtype=self.dtype)(x))

        return layer


class Affine(nn.Module):
    """a ∘ x + b, of each channel its own.

    >>> Affine().init(jax.random.key(0), jnp.zeros((1, 2)))["params"]["scale"]
    Array([1., 1.], dtype=float32)
    """

    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(..., C) of (..., C)."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        x, scale, bias = promote_dtype(x, scale, bias, dtype=self.dtype)
        of_channel = (1,) * (x.ndim - 1) + (-1,)
        return x * scale.reshape(of_channel) + bias.reshape(of_channel)


class ResidualNetwork(nn.Module):
    """Stages of residual blocks, x + conv(relu(norm(conv(relu(norm(x)))))), each half the size of the one before it.

    num_classes: K. widths: channels of each stage. depths: blocks of each stage, at least one. groups: of channels
    that are normalised together, over an image's places; they divide all widths. dtype: what it computes in.

    Source: He et al. 2016, "Identity mappings in deep residual networks"; Wu, He 2018, "Group normalization".

    >>> network = ResidualNetwork(num_classes=10, widths=(4, 8), depths=(1, 1), groups=2)
    >>> images = jnp.zeros((2, 8, 8, 3))
    >>> jax.eval_shape(network.init_with_output, jax.random.key(0), images)[0].shape
    (2, 10)
    """

    num_classes: int
    widths: tuple[int, ...] = (64, 128, 256)
    depths: tuple[int, ...] = (2, 2, 2)
    groups: int = 16
    dtype: Any = None

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Logits (N, K) of images (N, H, W, C)."""
        x = self._conv(self.widths[0], 3, name="stem")(images)
        for stage, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            for block in range(depth):
                strides = 2 if stage and not block else 1
                x = self._block(x, width, strides)
        x = self._active(x)
        return nn.Dense(self.num_classes, kernel_init=nn.initializers.zeros, dtype=self.dtype, name="head")(
            jnp.mean(x, axis=(1, 2)))

    def _block(self, x: jax.Array, width: int, strides: int) -> jax.Array:
        active = self._active(x)
        if strides > 1 or x.shape[-1] != width:
            x = self._conv(width, 1, strides)(active)
        inner = self._conv(width, 3, strides)(active)
        return x + self._conv(width, 3, init=nn.initializers.zeros)(self._active(inner))

    def _active(self, x: jax.Array) -> jax.Array:
        return nn.relu(nn.GroupNorm(self.groups, dtype=self.dtype)(x))

    def _conv(self, width: int, size: int, strides: int = 1, init=HE, name: str | None = None) -> nn.Conv:
        return nn.Conv(width, (size, size), (strides, strides), use_bias=False, kernel_init=init, dtype=self.dtype,
                       conv_general_dilated=conv_general_dilated, name=name)
