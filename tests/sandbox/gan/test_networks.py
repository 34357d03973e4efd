"""Players: shapes, what their last layers can say, waves by hand, and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox import convolution
from sandbox.gan import ImageDiscriminator, ImageGenerator, PointDiscriminator, PointGenerator, draw_latents

KEY = jax.random.key(0)
LABELS = jnp.array([0, 2, 1])


def _pair(shape, widths, **how):
    generator, discriminator = ImageGenerator(shape, widths, **how), ImageDiscriminator(widths, **how)
    latents = draw_latents(KEY, 3, 5)
    labels = (LABELS,) if how.get("num_classes") else ()
    images, of_generator = generator.init_with_output(KEY, latents, *labels)
    logits, of_discriminator = discriminator.init_with_output(KEY, images, *labels)
    return generator, discriminator, of_generator, of_discriminator, latents, images, logits


def test_points_come_from_latents_and_go_to_logits():
    generator, discriminator = PointGenerator((8,), size=3), PointDiscriminator((8,), waves=0)
    points = generator.init_with_output(KEY, draw_latents(KEY, 4, 2))[0]
    assert points.shape == (4, 3) and discriminator.init_with_output(KEY, points)[0].shape == (4,)


def test_the_discriminator_sees_points_as_waves_of_equal_slope():
    """Of its first layer alone: (x, sin x, cos x, ..., sin 2^k x / 2^k, cos 2^k x / 2^k) times the kernel."""
    network = PointDiscriminator(widths=(), waves=3)
    points = jnp.asarray(np.random.default_rng(0).normal(size=(5, 2)), jnp.float32)
    params = network.init(KEY, points)
    kernel = np.asarray(params["params"]["out"]["kernel"])[:, 0]
    waves = [wave(2**k * points) / 2**k for k in range(3) for wave in (np.sin, np.cos)]
    seen = np.concatenate([points, *waves], axis=1)
    np.testing.assert_allclose(network.apply(params, points), seen @ kernel, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape, widths, classes", [((8, 4, 1), (6, 4), 3), ((4, 4, 2), (4,), 0)])
def test_images_of_every_size_and_with_and_without_classes(shape, widths, classes):
    *_, images, logits = _pair(shape, widths, num_classes=classes)
    assert images.shape == (3, *shape) and logits.shape == (3,)
    assert float(jnp.max(jnp.abs(images))) <= 1


def test_blocks_start_as_nothing():
    """The second convolution of a block is 0 at first, so a block hands on what it is given; and it learns."""
    network, images = ImageDiscriminator((4,)), jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 4, 1)), float)
    params = network.init(KEY, images)
    seconds = [name for name, layer in params["params"].items() if not np.any(layer.get("kernel", 1))]
    assert len(seconds) == 1
    slopes = jax.grad(lambda params: jnp.sum(network.apply(params, images)))(params)
    assert float(jnp.max(jnp.abs(slopes["params"][seconds[0]]["kernel"]))) > 0


def test_the_class_decides():
    generator, discriminator, of_generator, of_discriminator, latents, images, logits = _pair(
        (4, 4, 1), (4, 4), num_classes=3)
    other = (LABELS + 1) % 3
    assert float(jnp.min(jnp.max(jnp.abs(generator.apply(of_generator, latents, other) - images), axis=(1, 2, 3)))) > 0
    assert float(jnp.min(jnp.abs(discriminator.apply(of_discriminator, images, other) - logits))) > 0


def test_a_convolution_that_is_handed_in_computes_the_same():
    _, _, of_generator, of_discriminator, latents, images, logits = _pair((4, 4, 1), (4, 4))
    how = {"conv": convolution.conv_general_dilated}
    np.testing.assert_allclose(ImageGenerator((4, 4, 1), (4, 4), **how).apply(of_generator, latents), images, atol=1e-5)
    np.testing.assert_allclose(ImageDiscriminator((4, 4), **how).apply(of_discriminator, images), logits, atol=1e-5)


@pytest.mark.parametrize("call, words", [
    (lambda: ImageGenerator((6, 4, 1), (4, 4, 4)).init(KEY, jnp.ones((1, 2))),
     r"height and width must be multiples of 4 for 3 sizes of image, got \(6, 4, 1\)"),
    (lambda: ImageDiscriminator((4, 4)).init(KEY, jnp.ones((1, 5, 4, 1))),
     r"height and width must be multiples of 2 for 2 sizes of image, got \(5, 4, 1\)"),
    (lambda: ImageGenerator((4, 4, 1), (4,)).init(KEY, jnp.ones((1, 2)), jnp.zeros(1, int)),
     "labels must be left out where num_classes is 0"),
    (lambda: ImageDiscriminator((4,), num_classes=2).init(KEY, jnp.ones((1, 4, 4, 1))),
     "labels must be given where num_classes is 2"),
    (lambda: draw_latents(KEY, 3, 0), "size must be at least 1: of 0 numbers every sample would be the same, got 0"),
], ids=["generator", "discriminator", "labels", "no labels", "latents"])
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()
