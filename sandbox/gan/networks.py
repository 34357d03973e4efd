"""Players: perceptrons for points of a plane, and residual convolutions without normalisation for images."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

__all__ = ["ImageDiscriminator", "ImageGenerator", "PointDiscriminator", "PointGenerator"]

HE = nn.initializers.variance_scaling(2.0, "fan_in", "truncated_normal")
LECUN = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal")


class PointGenerator(nn.Module):
    """A perceptron from latents to points. widths: of the hidden layers. size: numbers of a point.

    >>> network = PointGenerator(widths=(8, 8))
    >>> jax.eval_shape(network.init_with_output, jax.random.key(0), jnp.zeros((3, 4)))[0].shape
    (3, 2)
    """

    widths: tuple[int, ...] = (128, 128, 128)
    size: int = 2

    @nn.compact
    def __call__(self, latents: jax.Array) -> jax.Array:
        """(N, size) of latents (N, L)."""
        return nn.Dense(self.size, kernel_init=LECUN, name="out")(_hidden(self.widths, latents))


class PointDiscriminator(nn.Module):
    """A perceptron from points to logits, which sees them as waves, too: what is much narrower than the whole, a
    perceptron of the points alone learns late.

    widths: of the hidden layers. waves: how many octaves of sin(2^k x)/2^k and cos(2^k x)/2^k stand beside x, k = 0, 1,
    ...; 0: x alone. All are equally steep, so a penalty on slopes favours none.

    Source: Rahaman et al. 2019, "On the spectral bias of neural networks"; Tancik et al. 2020, "Fourier features let
    networks learn high frequency functions in low dimensional domains".

    >>> network = PointDiscriminator(widths=(8, 8), waves=2)
    >>> jax.eval_shape(network.init_with_output, jax.random.key(0), jnp.zeros((3, 2)))[0].shape
    (3,)
    """

    widths: tuple[int, ...] = (128, 128, 128)
    waves: int = 4

    @nn.compact
    def __call__(self, points: jax.Array) -> jax.Array:
        """(N,) of points (N, D)."""
        seen, sin, cos = [points], jnp.sin(points), jnp.cos(points)
        for octave in range(self.waves):
            seen += [sin / 2**octave, cos / 2**octave]
            sin, cos = 2 * sin * cos, 1 - 2 * sin**2  # of twice the angle, which costs less than to ask for them
        return nn.Dense(1, kernel_init=LECUN, name="out")(_hidden(self.widths, jnp.concatenate(seen, axis=-1)))[:, 0]


class ImageGenerator(nn.Module):
    """Latents, and a class where there are some, to an image: small and of many channels first, then ever larger.

    shape: (H, W, C) of the images; H and W are multiples of 2 to the power of len(widths) − 1. widths: channels of each
    size, the smallest image first. blocks: residual ones of each size. num_classes: of the images, 0 for those without.
    conv: what `nn.Conv` takes as conv_general_dilated.

    Source: Karras et al. 2020, "Analyzing and improving the image quality of StyleGAN"; Huang et al. 2024, "The GAN is
    dead; long live the GAN!", section 4, for blocks without normalisation.

    >>> network = ImageGenerator((8, 8, 1), widths=(8, 4), num_classes=10)
    >>> inputs = jnp.zeros((3, 16)), jnp.zeros(3, int)
    >>> jax.eval_shape(network.init_with_output, jax.random.key(0), *inputs)[0].shape
    (3, 8, 8, 1)
    """

    shape: tuple[int, int, int]
    widths: tuple[int, ...] = (64, 32)
    blocks: int = 1
    num_classes: int = 0
    conv: Callable[..., jax.Array] | None = None  # by JAX's own where there is none

    @nn.compact
    def __call__(self, latents: jax.Array, labels: jax.Array | None = None) -> jax.Array:
        """(N, H, W, C) of −1 to 1, of latents (N, L) and labels (N,)."""
        _check_labels(labels, self.num_classes)
        height, width = _smallest(self.shape, len(self.widths))
        if labels is not None:
            of_class = nn.Embed(self.num_classes, latents.shape[-1], embedding_init=nn.initializers.normal(1.0))
            latents = jnp.concatenate([latents, of_class(labels)], axis=-1)
        x = nn.Dense(height * width * self.widths[0], kernel_init=LECUN, name="in")(latents)
        x = x.reshape(-1, height, width, self.widths[0])
        for stage, channels in enumerate(self.widths):
            if stage:
                x = _larger(_conv(channels, 1, self.conv)(x))
            for _ in range(self.blocks):
                x = _residual(x, self.conv)
        return jnp.tanh(_conv(self.shape[-1], 3, self.conv)(nn.leaky_relu(x, 0.2)))


class ImageDiscriminator(nn.Module):
    """An image, and its class where there are some, to a logit: the generator's way back.

    z = ⟨φ(x), u + v_c⟩, φ the network's features of the image and v_c of the class.

    widths: channels of each size, the smallest image first. The others: see `ImageGenerator`.

    Source: Miyato, Koyama 2018, "cGANs with projection discriminator".

    >>> network = ImageDiscriminator(widths=(8, 4), num_classes=10)
    >>> inputs = jnp.zeros((3, 8, 8, 1)), jnp.zeros(3, int)
    >>> jax.eval_shape(network.init_with_output, jax.random.key(0), *inputs)[0].shape
    (3,)
    """

    widths: tuple[int, ...] = (64, 32)
    blocks: int = 1
    num_classes: int = 0
    conv: Callable[..., jax.Array] | None = None  # by JAX's own where there is none

    @nn.compact
    def __call__(self, images: jax.Array, labels: jax.Array | None = None) -> jax.Array:
        """(N,) of images (N, H, W, C) and labels (N,)."""
        _check_labels(labels, self.num_classes)
        _smallest(images.shape[1:], len(self.widths))
        x = _conv(self.widths[-1], 3, self.conv)(images)
        for stage, channels in enumerate(reversed(self.widths)):
            if stage:
                x = _conv(channels, 1, self.conv)(_smaller(x))
            for _ in range(self.blocks):
                x = _residual(x, self.conv)
        features = nn.leaky_relu(x, 0.2).reshape(len(x), -1)
        features = nn.Dense(self.widths[0], kernel_init=LECUN, name="features")(features)
        logits = nn.Dense(1, kernel_init=LECUN, name="out")(features)[:, 0]
        if labels is None:
            return logits
        of_class = nn.Embed(self.num_classes, self.widths[0],
                            embedding_init=nn.initializers.normal(self.widths[0]**-0.5))
        return logits + jnp.sum(features * of_class(labels), axis=-1)


def _hidden(widths: tuple[int, ...], x: jax.Array) -> jax.Array:
    for number, width in enumerate(widths):
        x = nn.relu(nn.Dense(width, kernel_init=HE, name=f"hidden_{number}")(x))
    return x


def _residual(x: jax.Array, conv: Any) -> jax.Array:
    """x + w₂ ∗ a(w₁ ∗ a(x)), w₂ = 0 at first, which stands in for normalisation."""
    inner = nn.leaky_relu(_conv(x.shape[-1], 3, conv)(nn.leaky_relu(x, 0.2)), 0.2)
    return x + _conv(x.shape[-1], 3, conv, init=nn.initializers.zeros)(inner)


def _conv(channels: int, size: int, conv: Any, init: Any = HE) -> nn.Conv:
    return nn.Conv(channels, (size, size), kernel_init=init, conv_general_dilated=conv)


def _larger(x: jax.Array) -> jax.Array:
    """Each pixel as two by two."""
    return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)


def _smaller(x: jax.Array) -> jax.Array:
    """Mean of each two by two."""
    N, H, W, C = x.shape
    return jnp.mean(x.reshape(N, H // 2, 2, W // 2, 2, C), axis=(2, 4))


def _check_labels(labels: jax.Array | None, num_classes: int) -> None:
    if (labels is None) is not (num_classes == 0):
        raise ValueError(f"labels must be {'given' if num_classes else 'left out'} where num_classes is {num_classes}")


def _smallest(shape: tuple[int, ...], sizes: int) -> tuple[int, int]:
    factor = 2**(sizes - 1)
    if shape[0] % factor or shape[1] % factor:
        raise ValueError(f"height and width must be multiples of {factor} for {sizes} sizes of image, got {shape}")
    return shape[0] // factor, shape[1] // factor
