"""What the experiment learned, in hand: classify an image, see what it looked at."""

import dataclasses
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from experiments.runner.errors import UserError
from experiments.vision.problem import Scale, looked_at, scaled

STEM = "stem"  # the first convolution of every network here


@dataclasses.dataclass(frozen=True)
class ImageClassifier:
    """model, with params learned for it on images of shape (H, W, C), scaled so, of these classes; mirrored: whether it
    looks at the mirror image too."""

    model: nn.Module
    params: Any
    shape: tuple[int, int, int]
    scale: Scale
    class_names: tuple[str, ...]
    mirrored: bool = False

    def classify(self, image: np.ndarray, most: int = 3) -> dict[str, float]:
        """The likeliest classes of an image (H, W) or (H, W, C) of pixels, each with its probability."""
        p = self.probabilities(np.asarray(image)[None])[0]
        return {self.class_names[k]: float(p[k]) for k in np.argsort(-p)[:most]}

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """(N, classes), of images (N, H, W) or (N, H, W, C) of pixels."""
        return np.asarray(_probabilities(self.model, self.mirrored, self.params, self._scaled(images)))

    def saliency(self, images: np.ndarray, classes: np.ndarray | None = None) -> np.ndarray:
        """∂z_k/∂x, of each image's likeliest class, or of the one given: (N, H, W, C), per full brightness of a pixel.
        """
        x = self._scaled(images)
        if classes is None:
            classes = self.probabilities(images).argmax(axis=1)
        return np.asarray(_saliency(self.model, self.mirrored, self.params, x, jnp.asarray(classes))) / self.scale.std

    def filters(self) -> np.ndarray:
        """Kernels of the first convolution, (height, width, C, filters)."""
        return np.asarray(self.params["params"][STEM]["kernel"])

    def back_through_stem(self, image: np.ndarray, label: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the loss −log p of a label: what the first convolution sees (1, H, W, C); the gradient at its output; and
        the gradient of its kernel by autodiff."""
        x = self._scaled(np.asarray(image)[None])
        at_output, of_kernel = _back_through_stem(self.model, self.params, x, label)
        return np.asarray(x), np.asarray(at_output, np.float32), np.asarray(of_kernel)

    def _scaled(self, images: np.ndarray) -> jax.Array:
        images = np.asarray(images)
        if images.ndim == 3:
            images = images[..., None]
        if images.shape[1:] != self.shape or images.dtype != np.uint8:
            raise UserError(f"images must be (N, {', '.join(map(str, self.shape))}) of uint8, 0 to "
                            f"{self.scale.max_pixel}, as it has learned from, got {images.shape} of {images.dtype}")
        if images.size and (brightest := images.max()) > self.scale.max_pixel:
            raise UserError(f"full brightness is {self.scale.max_pixel} in what it has learned from, got a pixel of "
                            f"{brightest}")
        return scaled(jnp.asarray(images), self.scale)


@partial(jax.jit, static_argnums=(0, 1))
def _probabilities(model, mirrored, params, x):
    return jax.nn.softmax(looked_at(model.apply, mirrored)(params, x))


@partial(jax.jit, static_argnums=(0, 1))
def _saliency(model, mirrored, params, x, classes):
    def of_class(x):
        return jnp.sum(jnp.take_along_axis(looked_at(model.apply, mirrored)(params, x), classes[:, None], axis=-1))

    return jax.grad(of_class)(x)


@partial(jax.jit, static_argnums=0)
def _back_through_stem(model, params, x, label):
    def loss(params, moved):
        def add(call, arguments, keywords, context):
            out = call(*arguments, **keywords)
            return out + moved if context.module.name == STEM else out

        with nn.intercept_methods(add):
            return -jax.nn.log_softmax(model.apply(params, x))[0, label]

    out = jax.eval_shape(lambda: model.apply(params, x, capture_intermediates=lambda module, _: module.name == STEM,
                                             mutable=["intermediates"])[1])
    (shape,) = jax.tree.leaves(out)
    grad, at_output = jax.grad(loss, (0, 1))(params, jnp.zeros(shape.shape, shape.dtype))
    return at_output, grad["params"][STEM]["kernel"]
