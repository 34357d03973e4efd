"""What this wing satisfies: the gradients of a convolution by hand, and its own derivatives, against JAX's."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from sandbox.convolution import backpropagation, derivatives
from sandbox.convolution.backpropagation import Classifier
from sandbox.convolution.convolve import conv
from sandbox.convolution.geometry import SPATIAL, geometry_of
from sandbox.convolution.losses import Images, Maps, cross_entropy, squared_error
from sandbox.convolution.pooling import average_pool, max_pool
from sandbox.identities import Identity, finite_difference, normals

__all__ = ["IDENTITIES"]

ROWS, CLASSES = 2, 3


class Kind(NamedTuple):
    """A convolution of some kind: sizes, channels in and out, and the keywords of `conv`."""

    size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    channels: tuple[int, int]
    how: dict[str, Any]


KINDS = {
    "3×3": Kind((5, 4), (3, 3), (2, 3), {}),
    "strided": Kind((7, 6), (3, 2), (2, 3), {"strides": (2, 3), "padding": "VALID"}),
    "dilated, padded": Kind((7, 5), (3, 2), (2, 3), {"dilation": (2, 1), "padding": ((0, 3), (2, -1)), "strides": 2}),
    "in groups": Kind((5, 4), (3, 3), (4, 6), {"groups": 2, "strides": 2}),
    "depthwise": Kind((5, 4), (3, 3), (3, 6), {"groups": 3}),
    "input dilated": Kind((4, 3), (3, 3), (2, 2), {"input_dilation": 2, "padding": 2}),
    "of one axis": Kind((9,), (4,), (2, 3), {"strides": 2, "dilation": 2}),
}


def _of_lax(kind: Kind):
    """The same convolution by JAX's own operation, of which autodiff takes the derivatives."""
    groups = kind.how.get("groups", 1)
    geometry = geometry_of(kind.size, kind.kernel_size, **{k: v for k, v in kind.how.items() if k != "groups"})
    axes = SPATIAL[len(kind.size)]
    return lambda x, w: lax.conv_general_dilated(
        x, w, geometry.strides, geometry.padding, lhs_dilation=geometry.input_dilation,
        rhs_dilation=geometry.dilation, dimension_numbers=(f"N{axes}C", f"{axes}IO", f"N{axes}C"),
        feature_group_count=groups)


def _shapes(kind: Kind):
    inside, out = kind.channels
    x, w = (ROWS, *kind.size, inside), (*kind.kernel_size, inside // kind.how.get("groups", 1), out)
    y = jax.eval_shape(_of_lax(kind), jax.ShapeDtypeStruct(x, "float32"), jax.ShapeDtypeStruct(w, "float32"))
    return x, w, y.shape


def _grad_by_hand(kind: Kind, x, w, dy):
    return (derivatives.input_grad(w, dy, input_size=kind.size, **kind.how),
            derivatives.weight_grad(x, dy, kernel_size=kind.kernel_size, **kind.how))


def _vjp(function, x, w, dy):
    return jax.vjp(function, x, w)[1](dy)


def _jvp(function, x, w, dx, dw):
    return jax.jvp(function, (x, w), (dx, dw))[1]


def _hessian_product(function, x, w, dx, dw):
    """∇² of Σ y³/6, times a direction: forward over reverse."""
    return jax.jvp(jax.grad(lambda x, w: jnp.sum(function(x, w) ** 3) / 6, (0, 1)), (x, w), (dx, dw))[1]


def _gradients(name: str, kind: Kind) -> Identity:
    return Identity(f"∂L/∂x, ∂L/∂w {name}, by hand", partial(_grad_by_hand, kind), partial(_vjp, _of_lax(kind)),
                    normals(*_shapes(kind)))


def _own(name: str, of: Any, kind: Kind) -> Identity:
    return Identity(name, partial(of, partial(conv, **kind.how)), partial(of, _of_lax(kind)),
                    normals(*_shapes(kind)[:2] * 2))


def _pooling(by_hand, pool, *shapes, **how) -> tuple:
    return (partial(by_hand, **how), lambda x, dy: jax.vjp(partial(pool, **how), x)[1](dy)[0], normals(*shapes))


def _labelled(key, dtype):
    """Images with shares of classes that need not sum to 1, one of them padding, and the logits of some network."""
    of_classes = (ROWS + 1, CLASSES)
    logits, targets, images = normals(of_classes, of_classes, (ROWS + 1, 4, 4, 2))(key, dtype)
    return logits, Images(images, jnp.abs(targets), jnp.arange(ROWS + 1).astype(dtype))


def _with_classifier(key, dtype):
    of_params, of_batch = jax.random.split(key)
    params = Classifier(*normals((3, 3, 2, 4), (4,), (4, CLASSES))(of_params, dtype))
    return params, _labelled(of_batch, dtype)[1]


def _loss_grad(params, batch, apply_fn):
    return jax.grad(lambda p: cross_entropy(p, batch, apply_fn=apply_fn, label_smoothing=0.1)[0])(params)


def _mapped(key, dtype):
    maps, targets, weights = normals(IMAGE, IMAGE, IMAGE[:-1])(key, dtype)
    return maps, Maps(targets, targets, jnp.abs(weights))


def _map_grad(maps, batch):
    return jax.grad(lambda m: squared_error(m, batch, apply_fn=lambda params, images: params)[0])(maps)


IMAGE, PLAIN, GROUPED = (ROWS, 5, 4, 3), KINDS["3×3"], KINDS["in groups"]
IDENTITIES = (
    *(_gradients(name, kind) for name, kind in KINDS.items()),
    Identity("J (dx, dw) = dx ∗ w + x ∗ dw", derivatives.conv_jvp, partial(_jvp, _of_lax(PLAIN)),
             normals(*_shapes(PLAIN)[:2] * 2)),
    _own("J of conv, depthwise = JAX's", _jvp, KINDS["depthwise"]),
    _own("∇² of conv, dilated, padded = JAX's", _hessian_product, KINDS["dilated, padded"]),
    Identity("vmap over kernels, ∇ = one by one", jax.vmap(partial(_vjp, partial(conv, **GROUPED.how))),
             lambda *stacks: lax.map(lambda one: _vjp(_of_lax(GROUPED), *one), stacks),
             normals(*((3, *shape) for shape in _shapes(GROUPED)))),
    Identity("∂L/∂x of average pooling", *_pooling(derivatives.average_pool_grad, average_pool, IMAGE, (ROWS, 3, 2, 3),
                                                   window=3, strides=2, padding="SAME")),
    Identity("∂L/∂x of max pooling", *_pooling(derivatives.max_pool_grad, max_pool, IMAGE, (ROWS, 3, 2, 3),
                                               window=3, strides=2, padding="SAME")),
    Identity("∇ cross-entropy, smoothed = p − y", partial(derivatives.cross_entropy_logits_grad, label_smoothing=0.1),
             lambda z, batch: _loss_grad(z, batch, lambda params, images: params), _labelled),
    Identity("∂L/∂w of ½ ‖y‖² = by finite differences",
             lambda x, w: derivatives.weight_grad(x, conv(x, w), kernel_size=PLAIN.kernel_size),
             lambda x, w: finite_difference(lambda w: jnp.sum(conv(x, w) ** 2) / 2, w), normals(*_shapes(PLAIN)[:2]),
             tolerance=1e-6, float32_tolerance=0.02),
    Identity("∇ squared error of a map", derivatives.squared_error_grad, _map_grad, _mapped),
    Identity("∇ back through a whole network", partial(backpropagation.classifier_grad, label_smoothing=0.1),
             lambda params, batch: _loss_grad(params, batch, backpropagation.classifier_logits), _with_classifier),
)
