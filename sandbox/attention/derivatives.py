"""By hand: softmax's Jacobian diag(s) − s sᵀ, applied and never formed; its second derivative; p − y; and the
gradients of attention."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sandbox.attention.dense import attention_weights
from sandbox.attention.losses import Tokens
from sandbox.attention.pairs import ALL, Pairs, grouped

__all__ = [
    "AttentionGrad",
    "attention_jvp",
    "attention_vjp",
    "cross_entropy_grad",
    "cross_entropy_hvp",
    "log_softmax_hvp",
    "log_softmax_jvp",
    "log_softmax_vjp",
    "logsumexp_hvp",
    "next_token_logits_grad",
    "softmax_hvp",
    "softmax_jacobian",
    "softmax_jvp",
    "softmax_vjp",
]


def softmax_jacobian(logits: jax.Array) -> jax.Array:
    """∂s_i/∂z_j = s_i (δ_ij − s_j), formed, to look at.

    Args:
      logits: (..., N), nats up to a constant.
    Returns:
      (..., N, N); rows and columns sum to zero, symmetric, positive semi-definite.
    Source: Bridle 1990.

    >>> softmax_jacobian(jnp.zeros(2))
    Array([[ 0.25, -0.25],
           [-0.25,  0.25]], dtype=float32)
    """
    s = jax.nn.softmax(logits)
    columns = jnp.broadcast_to(s[..., None, :], (*s.shape, s.shape[-1]))
    return s[..., :, None] * (jnp.broadcast_to(jnp.eye(s.shape[-1], dtype=s.dtype), columns.shape) - columns)


def softmax_jvp(logits: jax.Array, tangent: jax.Array, *, axis: int = -1) -> jax.Array:
    """Directional derivative of softmax.

    ds = s ∘ (dz − ⟨s, dz⟩),   s = softmax(z);   as a matrix, J = diag(s) − s sᵀ.

    Args:
      logits: (..., N) along `axis`, nats up to a constant. tangent: dz, the same shape.
    Returns:
      The same shape; sums to zero along `axis`.
    Raises:
      ValueError: the two shapes differ.
    Source: Bridle 1990; Bishop 2006, eq. 4.106.

    >>> softmax_jvp(jnp.zeros(2), jnp.array([1.0, 0.0]))
    Array([ 0.25, -0.25], dtype=float32)
    """
    _same_shape(logits, tangent=tangent)
    return _apply_jacobian(jax.nn.softmax(logits, axis), tangent, axis)


def softmax_vjp(logits: jax.Array, cotangent: jax.Array, *, axis: int = -1) -> jax.Array:
    """Gradient of ⟨u, softmax(z)⟩: Jᵀ u = J u, since J is symmetric.

    Args:
      logits: (..., N) along `axis`. cotangent: u, the same shape.
    Returns:
      The same shape.
    Raises:
      ValueError: the two shapes differ.
    Source: Bishop 2006, eq. 4.106.

    >>> softmax_vjp(jnp.zeros(2), jnp.array([1.0, 0.0]))
    Array([ 0.25, -0.25], dtype=float32)
    """
    _same_shape(logits, cotangent=cotangent)
    return _apply_jacobian(jax.nn.softmax(logits, axis), cotangent, axis)


def softmax_hvp(logits: jax.Array, cotangent: jax.Array, tangent: jax.Array, *, axis: int = -1) -> jax.Array:
    """Hessian of ⟨u, softmax(z)⟩ times a direction dz.

    d(J u) = ds ∘ (u − ⟨s, u⟩) − s ⟨ds, u⟩,   ds = J dz.

    Args:
      logits: (..., N) along `axis`. cotangent: u. tangent: dz. All of one shape.
    Returns:
      The same shape; sums to zero along `axis`.
    Raises:
      ValueError: the shapes differ.

    >>> softmax_hvp(jnp.zeros(2), jnp.array([1.0, 0.0]), jnp.array([1.0, 0.0]))
    Array([0., 0.], dtype=float32)
    """
    _same_shape(logits, cotangent=cotangent, tangent=tangent)
    s = jax.nn.softmax(logits, axis)
    ds = _apply_jacobian(s, tangent, axis)
    return ds * (cotangent - _inner(s, cotangent, axis)) - s * _inner(ds, cotangent, axis)


def log_softmax_jvp(logits: jax.Array, tangent: jax.Array, *, axis: int = -1) -> jax.Array:
    """Directional derivative of log softmax: dz − ⟨s, dz⟩; as a matrix, I − 1 sᵀ.

    Args:
      logits: (..., N) along `axis`. tangent: dz, the same shape.
    Returns:
      The same shape.
    Raises:
      ValueError: the two shapes differ.

    >>> log_softmax_jvp(jnp.zeros(2), jnp.array([1.0, 0.0]))
    Array([ 0.5, -0.5], dtype=float32)
    """
    _same_shape(logits, tangent=tangent)
    return tangent - _inner(jax.nn.softmax(logits, axis), tangent, axis)


def log_softmax_vjp(logits: jax.Array, cotangent: jax.Array, *, axis: int = -1) -> jax.Array:
    """Gradient of ⟨u, log softmax(z)⟩: u − s Σu.

    Args:
      logits: (..., N) along `axis`. cotangent: u, the same shape.
    Returns:
      The same shape; sums to zero along `axis`.
    Raises:
      ValueError: the two shapes differ.

    >>> log_softmax_vjp(jnp.zeros(2), jnp.array([1.0, 0.0]))
    Array([ 0.5, -0.5], dtype=float32)
    """
    _same_shape(logits, cotangent=cotangent)
    return cotangent - jax.nn.softmax(logits, axis) * jnp.sum(cotangent, axis, keepdims=True)


def log_softmax_hvp(logits: jax.Array, cotangent: jax.Array, tangent: jax.Array, *, axis: int = -1) -> jax.Array:
    """Hessian of ⟨u, log softmax(z)⟩ times a direction: −(Σu) J dz.

    Args:
      logits: (..., N) along `axis`. cotangent: u. tangent: dz. All of one shape.
    Returns:
      The same shape.
    Raises:
      ValueError: the shapes differ.

    >>> log_softmax_hvp(jnp.zeros(2), jnp.array([1.0, 0.0]), jnp.array([1.0, 0.0]))
    Array([-0.25,  0.25], dtype=float32)
    """
    _same_shape(logits, cotangent=cotangent, tangent=tangent)
    return -jnp.sum(cotangent, axis, keepdims=True) * softmax_jvp(logits, tangent, axis=axis)


def logsumexp_hvp(logits: jax.Array, tangent: jax.Array, *, axis: int = -1) -> jax.Array:
    """Hessian of log Σ e^z times a direction: its gradient is s, so its Hessian is J.

    Args:
      logits: (..., N) along `axis`. tangent: dz, the same shape.
    Returns:
      The same shape.
    Raises:
      ValueError: the two shapes differ.

    >>> logsumexp_hvp(jnp.zeros(2), jnp.array([1.0, 0.0]))
    Array([ 0.25, -0.25], dtype=float32)
    """
    return softmax_jvp(logits, tangent, axis=axis)


def cross_entropy_grad(logits: jax.Array, target: jax.Array) -> jax.Array:
    """Gradient of −Σ y log softmax(z): p Σy − y, which is p − y for a distribution y.

    Args:
      logits: (..., N). target: y, the same shape.
    Returns:
      The same shape.
    Raises:
      ValueError: the two shapes differ.
    Source: Bishop 2006, eq. 4.109.

    >>> cross_entropy_grad(jnp.zeros(2), jnp.array([1.0, 0.0]))
    Array([-0.5,  0.5], dtype=float32)
    """
    _same_shape(logits, target=target)
    return -log_softmax_vjp(logits, target)


def cross_entropy_hvp(logits: jax.Array, target: jax.Array, tangent: jax.Array) -> jax.Array:
    """Hessian of −Σ y log softmax(z) times a direction: (Σy) J dz, whatever the target.

    Args:
      logits: (..., N). target: y. tangent: dz. All of one shape.
    Returns:
      The same shape.
    Raises:
      ValueError: the shapes differ.
    Source: Bishop 2006, eq. 4.110.

    >>> cross_entropy_hvp(jnp.zeros(2), jnp.array([1.0, 0.0]), jnp.array([1.0, 0.0]))
    Array([ 0.25, -0.25], dtype=float32)
    """
    _same_shape(logits, target=target, tangent=tangent)
    return -log_softmax_hvp(logits, target, tangent)


def next_token_logits_grad(logits: jax.Array, batch: Tokens, *, label_smoothing: float = 0.0,
                           z_loss: float = 0.0) -> jax.Array:
    """Gradient of `next_token_cross_entropy` to the logits.

    w/Σw · (p − (1 − ε) y − ε/V + 2 ζ log(Σ e^z) p).

    Args:
      logits: (B, T, V). batch: Tokens of B rows. label_smoothing: ε. z_loss: ζ.
    Returns:
      (B, T, V).

    >>> one = jnp.zeros((1, 1), int)
    >>> next_token_logits_grad(jnp.zeros((1, 1, 2)), Tokens(one, one, jnp.ones((1, 1))))
    Array([[[-0.5,  0.5]]], dtype=float32)
    """
    num_tokens = logits.shape[-1]
    y = (1 - label_smoothing) * jax.nn.one_hot(batch.targets, num_tokens, dtype=logits.dtype)
    pull = 2 * z_loss * jax.nn.logsumexp(logits, axis=-1, keepdims=True) * jax.nn.softmax(logits)
    total = jnp.sum(batch.weights)
    share = batch.weights / jnp.where(total > 0, total, 1)
    return share[..., None] * (cross_entropy_grad(logits, y + label_smoothing / num_tokens) + pull)


class AttentionGrad(NamedTuple):
    """Gradients to q (B, T, N, H), to k and v (B, S, K, H), and to bias where there is one."""

    q: jax.Array
    k: jax.Array
    v: jax.Array
    bias: jax.Array | None


def attention_vjp(q: jax.Array, k: jax.Array, v: jax.Array, cotangent: jax.Array, pairs: Pairs = ALL, *,
                  scale: float, softcap: float | None = None) -> AttentionGrad:
    """Gradient of ⟨dO, attention(q, k, v)⟩.

    dV = Pᵀ dO,   dP = dO Vᵀ,   dZ = P ∘ (dP − rowsum(P ∘ dP)),   dbias = dZ,
    dA = dZ ∘ (1 − tanh²(A/c)),   A = scale Q Kᵀ,   dQ = scale dA K,   dK = scale dAᵀ Q;
    what several heads, batches or places share gets the sum.

    Args:
      q: (B, T, N, H). k, v: (B, S, K, H). cotangent: dO, (B, T, N, H). pairs, scale, softcap: see `dense_attention`.
    Returns:
      AttentionGrad.
    Source: Dao et al. 2022, appendix B.2.

    >>> one = jnp.ones((1, 2, 1, 1))
    >>> attention_vjp(one, one, one, one, Pairs(causal=True), scale=1.0).v.ravel()
    Array([1.5, 0.5], dtype=float32)
    """
    p, slope = _weights_and_slope(q, k, pairs, scale, softcap)
    groups = p.shape[1:3]
    heads_apart = (*q.shape[:2], *groups, q.shape[3])
    q, d_out = q.reshape(heads_apart), cotangent.reshape(heads_apart)
    d_p = jnp.einsum("btkgh,bskh->bkgts", d_out, v)
    d_z = p * (d_p - _inner(p, d_p, -1))
    d_a = scale * slope * d_z
    d_bias = None
    if pairs.bias is not None:
        as_bias = d_z.reshape(d_z.shape[0], -1, *d_z.shape[3:])
        shared = tuple(n for n, length in enumerate(pairs.bias.shape) if length == 1)
        d_bias = jnp.sum(as_bias, axis=shared, keepdims=True)
    return AttentionGrad(jnp.einsum("bkgts,bskh->btkgh", d_a, k).reshape(cotangent.shape),
                         jnp.einsum("bkgts,btkgh->bskh", d_a, q), jnp.einsum("bkgts,btkgh->bskh", p, d_out), d_bias)


def attention_jvp(q: jax.Array, k: jax.Array, v: jax.Array, tangents: tuple[jax.Array, jax.Array, jax.Array],
                  pairs: Pairs = ALL, *, scale: float, softcap: float | None = None) -> jax.Array:
    """Directional derivative of attention.

    dZ = (1 − tanh²(A/c)) ∘ scale (dQ Kᵀ + Q dKᵀ),   dP = P ∘ (dZ − rowsum(P ∘ dZ)),   dO = dP V + P dV.

    Args:
      q: (B, T, N, H). k, v: (B, S, K, H). tangents: dQ, dK, dV. pairs, scale, softcap: see `dense_attention`.
    Returns:
      dO, (B, T, N, H).
    Source: `softmax_jvp`, between two products.

    >>> one = jnp.ones((1, 2, 1, 1))
    >>> attention_jvp(one, one, one, (one, one, 3 * one), scale=1.0).ravel()
    Array([3., 3.], dtype=float32)
    """
    p, slope = _weights_and_slope(q, k, pairs, scale, softcap)
    heads_apart = (*q.shape[:2], *p.shape[1:3], q.shape[3])
    d_q, d_k, d_v = tangents
    d_a = (jnp.einsum("btkgh,bskh->bkgts", d_q.reshape(heads_apart), k)
           + jnp.einsum("btkgh,bskh->bkgts", q.reshape(heads_apart), d_k))
    d_p = _apply_jacobian(p, scale * slope * d_a)
    d_out = jnp.einsum("bkgts,bskh->btkgh", d_p, v) + jnp.einsum("bkgts,bskh->btkgh", p, d_v)
    return d_out.reshape(q.shape)


def _weights_and_slope(q, k, pairs, scale, softcap):
    """P, (B, K, G, T, S), and the slope of the soft cap, of the same shape or 1."""
    batch, num_queries, heads, size = q.shape
    groups = (k.shape[2], heads // k.shape[2])
    p = grouped(attention_weights(q, k, pairs, scale=scale, softcap=softcap), groups)
    if softcap is None:
        return p, jnp.ones((), p.dtype)
    a = scale * jnp.einsum("btkgh,bskh->bkgts", q.reshape(batch, num_queries, *groups, size), k)
    return p, 1 - jnp.tanh(a / softcap) ** 2


def _apply_jacobian(s: jax.Array, x: jax.Array, axis: int = -1) -> jax.Array:
    """J x for given shares s."""
    return s * (x - _inner(s, x, axis))


def _inner(left: jax.Array, right: jax.Array, axis: int) -> jax.Array:
    return jnp.sum(left * right, axis, keepdims=True)


def _same_shape(logits: jax.Array, **others: jax.Array) -> None:
    for name, other in others.items():
        if other.shape != logits.shape:
            raise ValueError(f"{name} must have the shape of logits, {logits.shape}, got {other.shape}")
