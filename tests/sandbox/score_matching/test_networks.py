"""Networks: shapes, rows by themselves, what classes change, and the house's convolution in place of JAX's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sandbox import convolution
from sandbox.score_matching import ImageLogits, PointNetwork
from sandbox.score_matching.networks import waves_of

KEY = jax.random.key(0)


def _random(params):
    """The same structure with nothing at 0, so that what it says depends on what it sees."""
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(KEY, len(leaves))
    return jax.tree.unflatten(tree, [0.3 * jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves)])


def test_points_are_looked_at_one_by_one_at_their_own_times():
    network = PointNetwork(width=8, layers=2)
    x, time = jax.random.normal(KEY, (5, 2)), jnp.linspace(-0.5, 0.5, 5)
    fresh, apply = jax.jit(network.init)(KEY, x, time), jax.jit(network.apply)
    np.testing.assert_array_equal(apply(fresh, x, time), 0)
    params = _random(fresh)
    found = apply(params, x, time)
    for n in range(5):
        np.testing.assert_allclose(apply(params, x[n:n + 1], time[n:n + 1])[0], found[n], rtol=2e-4, atol=1e-5)
    assert not np.allclose(found, apply(params, x, time[::-1]))


def test_images_classes_and_times_all_count():
    network = ImageLogits(num_bins=3, channels=2, width=8, layers=1, num_classes=2)
    images, time, labels = jax.random.normal(KEY, (4, 4, 4, 1)), jnp.linspace(-0.5, 0.5, 4), jnp.array([0, 1, 2, 0])
    fresh, apply = jax.jit(network.init)(KEY, images, time, labels), jax.jit(network.apply)
    params = _random(fresh)
    found = apply(params, images, time, labels)
    assert found.shape == (4, 4, 4, 1, 3) and not np.any(apply(fresh, images, time, labels))
    for changed in ((images[::-1], time, labels), (images, time[::-1], labels), (images, time, (labels + 1) % 3)):
        assert not np.allclose(found, apply(params, *changed))
    # One pixel is felt everywhere: near it by the convolutions, and far from it by the perceptron.
    elsewhere = apply(params, images.at[:, 0, 0].add(1.0), time, labels)
    assert np.all(np.abs(elsewhere - found).max(axis=(0, 3, 4)) > 0)


def test_the_convolution_handed_in_is_the_one_used():
    images, time = jax.random.normal(KEY, (2, 4, 4, 1)), jnp.zeros(2)
    plain = ImageLogits(num_bins=3, channels=2, width=4, layers=1)
    params = _random(jax.jit(plain.init)(KEY, images, time))
    calls = []

    def conv(*arguments, **keywords):
        calls.append(arguments[0].shape)
        return convolution.conv_general_dilated(*arguments, **keywords)

    own = ImageLogits(num_bins=3, channels=2, width=4, layers=1, conv=conv)
    np.testing.assert_allclose(jax.jit(own.apply)(params, images, time), jax.jit(plain.apply)(params, images, time),
                               rtol=1e-4, atol=1e-5)
    assert calls == [(2, 4, 4, 1), (2, 4, 4, 4)]


def test_waves_double_in_number_from_octave_to_octave():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 2)), jnp.float32)
    by_hand = [wave(2**k * np.asarray(x)) for k in range(3) for wave in (np.sin, np.cos)]
    np.testing.assert_allclose(waves_of(x, 3), np.concatenate(by_hand, axis=1), rtol=1e-4, atol=1e-5)
    assert waves_of(x, 0).shape == (3, 0)


@pytest.mark.parametrize("num_classes, labels, words", [
    (2, None, "labels must be given where num_classes is 2"),
    (0, jnp.zeros(1, int), "labels must be left out where num_classes is 0")])
def test_labels_go_with_classes(num_classes, labels, words):
    network = ImageLogits(num_bins=3, channels=2, width=4, layers=1, num_classes=num_classes)
    with pytest.raises(ValueError, match=words):
        jax.eval_shape(network.init, KEY, jnp.zeros((1, 4, 4, 1)), jnp.zeros(1), labels)
