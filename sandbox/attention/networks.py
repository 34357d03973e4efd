"""A decoder-only transformer: for each token, what comes next, from the token and those before it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from sandbox.attention.dispatch import attention
from sandbox.attention.rotary import rotate

__all__ = ["Transformer", "on_rows", "rms_norm", "shifted"]


class Past(NamedTuple):
    """What a block remembers of earlier tokens: keys, values (B, C, K, H), their positions (C,), −1 where there is
    none; and its last two inputs, attention's and the MLP's, (2, B, D)."""

    keys: jax.Array
    values: jax.Array
    positions: jax.Array
    inputs: jax.Array


class News(NamedTuple):
    """What a block adds to that: keys, values (B, T, K, H), and the inputs at the last token (2, B, D)."""

    keys: jax.Array
    values: jax.Array
    inputs: jax.Array


class Transformer(nn.Module):
    """Logits of the next token: h ← h + Attention(RMS(h)), then h ← h + W₂ relu(W₁ RMS(h))², L times.

    Rotary positions; queries and keys scaled to length √H (QK-norm); every block's input mixed with the one before,
    RMS(h)_t + w ∘ RMS(h)_{t−1}; output projections and the head begin at zero, so that it begins by saying nothing.

    Dimensions: B rows, T tokens, V in the vocabulary, D width, N heads, K key heads, H = D / N.

    Raises, when it is first used:
      ValueError: num_heads does not divide the width, num_key_heads not num_heads, or dropout has another shape.
    Source: RMS norm: Zhang, Sennrich 2019; QK-norm: Henry et al. 2020; relu²: So et al. 2021; the mix with the token
    before: Peng et al. 2023.

    >>> model = Transformer(num_tokens=5, num_layers=1, width=8, num_heads=2)
    >>> params = model.init(jax.random.key(0), jnp.zeros((1, 3), int))
    >>> model.apply(params, jnp.zeros((1, 3), int)).shape
    (1, 3, 5)
    """

    num_tokens: int
    """V."""
    num_layers: int = 4
    """L."""
    width: int = 128
    """D."""
    num_heads: int = 4
    """N, of queries; D / N must be whole and even."""
    num_key_heads: int | None = None
    """K, of keys and values; N must be a multiple of it. Without it: N."""
    mlp_width: int | None = None
    """Without it: 4 D."""
    window: int | None = None
    """How many positions attention sees, its own included; without it: all. Each mix with the input before reaches one
    further back."""
    implementation: Any = "auto"
    """Of attention; see `attention`."""
    dtype: Any = None
    """To compute in; without it: that of the parameters."""
    constrain: Callable[[jax.Array], jax.Array] = lambda h: h
    """Of the residual stream (B, T, D) before every block and at the end: on a mesh, where its parts are to be."""

    @property
    def key_heads(self) -> int:
        """K."""
        return self.num_heads if self.num_key_heads is None else self.num_key_heads

    def setup(self):
        if self.num_heads < 1 or self.width % self.num_heads:
            raise ValueError(f"num_heads must divide the width of {self.width}, got {self.num_heads}")
        if self.key_heads < 1 or self.num_heads % self.key_heads:
            raise ValueError(f"num_key_heads must divide the num_heads of {self.num_heads}, got {self.key_heads}")
        self.embedding = nn.Embed(self.num_tokens, self.width, dtype=self.dtype,
                                  embedding_init=nn.initializers.normal(1.0))
        mlp_width = 4 * self.width if self.mlp_width is None else self.mlp_width
        self.blocks = [Block(self.num_heads, self.key_heads, mlp_width, self.window, self.implementation, self.dtype)
                       for _ in range(self.num_layers)]
        self.head = nn.Dense(self.num_tokens, use_bias=False, kernel_init=nn.initializers.zeros)  # logits in full

    def __call__(self, tokens: jax.Array, dropout: jax.Array | None = None) -> jax.Array:
        """Logits (B, T, V), float32 or wider, of tokens (B, T) in [0, V).

        dropout: None, or (B, 2 L, T, D), factors of the residual branches; see `draw_dropout`.
        """
        return self._run(tokens, jnp.arange(tokens.shape[1]), None, dropout)[0]

    def extend(self, tokens: jax.Array, position: jax.Array, pasts: list[Past]) -> tuple[jax.Array, list[News]]:
        """Logits (B, V) of one more token (B,) at a position (); see `decoding`."""
        logits, news = self._run(tokens[:, None], position[None], pasts, None)
        return logits[:, 0], news

    def _run(self, tokens, positions, pasts, dropout):
        h = self.constrain(rms_norm(self.embedding(tokens)))
        branches = (tokens.shape[0], 2 * self.num_layers, tokens.shape[1], self.width)
        if dropout is not None and dropout.shape != branches:
            raise ValueError(f"dropout must have the shape {branches}, got {dropout.shape}")
        news = []
        for layer, block in enumerate(self.blocks):
            factors = None if dropout is None else dropout[:, 2 * layer:2 * layer + 2].astype(h.dtype)
            h, new = block(h, positions, None if pasts is None else pasts[layer], factors)
            h = self.constrain(h)
            news.append(new)
        logits = on_rows(self.head, rms_norm(h))
        return logits.astype(jnp.promote_types(logits.dtype, jnp.float32)), news


class Block(nn.Module):
    """Attention and an MLP, each of the normed input mixed with the one before, added to the residual stream."""

    num_heads: int
    num_key_heads: int
    mlp_width: int
    window: int | None
    implementation: Any
    dtype: Any

    @nn.compact
    def __call__(self, h, positions, past: Past | None, dropout):
        width, size = h.shape[-1], h.shape[-1] // self.num_heads

        def dense(name, features, std=width ** -0.5):
            layer = nn.Dense(features, use_bias=False, dtype=self.dtype, name=name,
                             kernel_init=nn.initializers.normal(std))
            return lambda x: on_rows(layer, x)

        def mixed(name, x, before):
            weight = self.param(name, nn.initializers.zeros, (width,)).astype(x.dtype)
            return x + weight[None, None] * shifted(x, before)

        def branch(number, x):
            return x if dropout is None else x * dropout[:, number]

        first = rms_norm(h)
        x = mixed("shift_attention", first, None if past is None else past.inputs[0])
        q = dense("query", self.num_heads * size)(x).reshape(*x.shape[:2], self.num_heads, size)
        k = dense("key", self.num_key_heads * size)(x).reshape(*x.shape[:2], self.num_key_heads, size)
        v = dense("value", self.num_key_heads * size)(x).reshape(*x.shape[:2], self.num_key_heads, size)
        q, k = rotate(rms_norm(q), positions), rotate(rms_norm(k), positions)
        self.sow("intermediates", "queries_and_keys", (q, k))
        out = self._attend(q, k, v, positions, past).reshape(*x.shape[:2], self.num_heads * size)
        h = h + branch(0, dense("output", width, 0.0)(out))

        second = rms_norm(h)
        x = mixed("shift_mlp", second, None if past is None else past.inputs[1])
        x = jnp.square(nn.relu(dense("up", self.mlp_width)(x)))
        h = h + branch(1, dense("down", width, 0.0)(x))
        return h, News(k, v, jnp.stack([first[:, -1], second[:, -1]]))

    def _attend(self, q, k, v, positions, past: Past | None):
        if past is None:
            return attention(q, k, v, causal=True, window=self.window, implementation=self.implementation)
        keys, values = jnp.concatenate([past.keys, k], axis=1), jnp.concatenate([past.values, v], axis=1)
        reach = past.positions.shape[0] if self.window is None else min(past.positions.shape[0], self.window)
        seen = (past.positions >= 0) & (past.positions > positions[0] - reach)
        mask = jnp.append(seen, True)[None, None, None]
        return attention(q, keys, values, mask=mask, implementation="dense")


def on_rows(layer: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
    """A layer of (rows, D) on (B, T, D): as one matrix, whose weight gradient XLA takes without a transposed copy.

    >>> on_rows(lambda rows: rows @ jnp.ones((3, 2)), jnp.ones((4, 5, 3))).shape
    (4, 5, 2)
    """
    out = layer(x.reshape(x.shape[0] * x.shape[1], x.shape[2]))
    return out.reshape(*x.shape[:2], out.shape[-1])


def rms_norm(x: jax.Array) -> jax.Array:
    """x / √(mean of x² + 10⁻⁶), over the last axis, in float32 or wider.

    >>> rms_norm(jnp.array([3.0, 3.0, -3.0])).round(3)
    Array([ 1.,  1., -1.], dtype=float32)
    """
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    return (wide * jax.lax.rsqrt(jnp.mean(wide ** 2, axis=-1, keepdims=True) + 1e-6)).astype(x.dtype)


def shifted(x: jax.Array, before: jax.Array | None = None) -> jax.Array:
    """x (B, T, D) one step later: x_{t−1} at t, and at the first `before` (B, D), zero where that is None.

    >>> shifted(jnp.array([[[1.0], [2.0], [3.0]]])).ravel()
    Array([0., 1., 2.], dtype=float32)
    """
    first = jnp.zeros_like(x[:, :1]) if before is None else before[:, None]
    return jnp.concatenate([first, x[:, :-1]], axis=1)
