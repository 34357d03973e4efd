"""An identity as data: two sides that must agree, and inputs to try them on.

Each wing lists its own in `identities.py`; the tests and `make verify` read the same list.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

__all__ = ["Identity", "finite_difference", "normals", "relative_error", "worst_error"]


class Identity(NamedTuple):
    """left(*inputs) = right(*inputs) for every inputs = draw(key, dtype).

    name: what it says, in a few words. left, right: functions of the drawn inputs that return equal
    pytrees. draw: (key, dtype) -> tuple of arrays, of shapes that do not change. tolerance: largest
    relative error in float64; float32_tolerance: the same in float32.
    """

    name: str
    left: Callable[..., Any]
    right: Callable[..., Any]
    draw: Callable[..., tuple]
    tolerance: float = 1e-10
    float32_tolerance: float = 1e-3


def normals(*shapes: tuple[int, ...]) -> Callable[[jax.Array, Any], tuple[jax.Array, ...]]:
    """As many standard normal arrays as there are shapes, drawn as one: to draw takes long to compile.

    Args:
      shapes: of each.
    Returns:
      draw(key, dtype), for an Identity.

    >>> [one.shape for one in normals((2,), (3, 4))(jax.random.key(0), jnp.float32)]
    [(2,), (3, 4)]
    """
    sizes = [math.prod(shape) for shape in shapes]

    def draw(key: jax.Array, dtype: Any) -> tuple[jax.Array, ...]:
        drawn = jnp.split(jax.random.normal(key, (sum(sizes),), dtype), list(itertools.accumulate(sizes))[:-1])
        return tuple(one.reshape(shape) for one, shape in zip(drawn, shapes))

    return draw


def finite_difference(function: Callable[[Any], jax.Array], point: Any) -> Any:
    """Gradient by central differences: of each coordinate (f(x + h e) − f(x − h e)) / 2h, h the cube root of ε.

    It errs by h² f‴/6 and by ε f / h, both about h²: it knows nothing of calculus, and is no more exact than that.

    Args:
      function: point -> scalar. point: pytree of floating arrays of one dtype, whose machine epsilon is ε.
    Returns:
      The structure of point.

    >>> finite_difference(lambda x: jnp.sum(x**2), jnp.array([1.0, -2.0])).round(2)
    Array([ 2., -4.], dtype=float32)
    """
    flat, restore = ravel_pytree(point)
    h = float(jnp.finfo(flat.dtype).eps) ** (1 / 3)
    slopes = jax.lax.map(lambda e: (function(restore(flat + h * e)) - function(restore(flat - h * e))) / (2 * h),
                         jnp.eye(len(flat), dtype=flat.dtype))
    return restore(slopes)


def relative_error(left: Any, right: Any) -> jax.Array:
    """Largest difference in a leaf over that leaf's largest magnitude, over all leaves.

    max_leaf ( max |l − r| / max(scale of the leaf, 10⁻³ scale of the tree) ), a scale being the largest
    magnitude on either side. The floor is for leaves that are zero but for what cancellation left.

    Args:
      left, right: pytrees of the same structure and shapes.
    Returns:
      Scalar >= 0; NaN where either side has one.
    Raises:
      ValueError: structures or shapes differ.

    >>> relative_error({"a": jnp.array([1.0, 2.0])}, {"a": jnp.array([1.0, 1.0])})
    Array(0.5, dtype=float32)
    """
    if jax.tree.structure(left) != jax.tree.structure(right):
        raise ValueError(f"the sides differ in structure: {jax.tree.structure(left)}, {jax.tree.structure(right)}")
    pairs = list(zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True))
    for one, other in pairs:
        if one.shape != other.shape:
            raise ValueError(f"the sides differ in shape: {one.shape}, {other.shape}")
    differences = jnp.stack([jnp.max(jnp.abs(one - other)) for one, other in pairs])
    scales = jnp.stack([jnp.maximum(jnp.max(jnp.abs(one)), jnp.max(jnp.abs(other))) for one, other in pairs])
    scales = jnp.maximum(scales, 1e-3 * jnp.max(scales))
    return jnp.max(differences / jnp.where(scales == 0, 1, scales))


def worst_error(identity: Identity, key: jax.Array, *, num_cases: int, dtype: Any) -> jax.Array:
    """Largest relative error of an identity over drawn inputs.

    Args:
      identity: see Identity. key: PRNG key. num_cases: number of draws. dtype: of the drawn inputs.
    Returns:
      Scalar.

    >>> double = Identity("x + x = 2 x", lambda x: x + x, lambda x: 2 * x,
    ...                   lambda key, dtype: (jax.random.normal(key, (3,), dtype),))
    >>> worst_error(double, jax.random.key(0), num_cases=4, dtype=jnp.float32)
    Array(0., dtype=float32)
    """
    def error(case_key):
        inputs = identity.draw(case_key, dtype)
        return relative_error(identity.left(*inputs), identity.right(*inputs))

    return jnp.max(jax.lax.map(error, jax.random.split(key, num_cases)))

