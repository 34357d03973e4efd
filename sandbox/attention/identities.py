"""What this wing satisfies: softmax's derivatives by hand, p − y, and attention in blocks as by the formula."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from sandbox.attention import derivatives
from sandbox.attention.blockwise import blockwise_attention
from sandbox.attention.decoding import extend, init_cache
from sandbox.attention.dense import dense_attention
from sandbox.attention.derivatives import AttentionGrad
from sandbox.attention.losses import Tokens, next_token_cross_entropy
from sandbox.attention.networks import Transformer
from sandbox.attention.pairs import Pairs
from sandbox.attention.rotary import rotate
from sandbox.identities import Identity, finite_difference

__all__ = ["IDENTITIES"]

CLASSES = 6
BATCH, LENGTH, HEADS, KEY_HEADS, SIZE = 2, 7, 4, 2, 4
PAIRS = Pairs(causal=True, window=5, segment_ids=np.array([[0, 0, 0, 0, 1, 1, 1]] * BATCH),
              mask=(np.arange(LENGTH) != 2)[None, None, :, None])  # the third query may see nothing
MODEL = Transformer(num_tokens=5, num_layers=1, width=8, num_heads=2, num_key_heads=1, mlp_width=8, window=3)
SCALE, SOFTCAP = 0.7, 2.0


def _normal(*shapes):
    """As many arrays as there are shapes."""
    def draw(key, dtype):
        keys = jax.random.split(key, len(shapes))
        return tuple(jax.random.normal(one, shape, dtype) for one, shape in zip(keys, shapes))
    return draw


ROW = (3, CLASSES)
QUERY, KEY = (BATCH, LENGTH, HEADS, SIZE), (BATCH, LENGTH, KEY_HEADS, SIZE)
INPUTS = (QUERY, KEY, KEY, (1, HEADS, LENGTH, LENGTH))
_softmax, _log_softmax = jax.nn.softmax, jax.nn.log_softmax


def _hvp(function):
    """(z, u, dz) ↦ Hessian of ⟨u, function(z)⟩ times dz."""
    return lambda z, u, dz: jax.jvp(jax.grad(lambda point: jnp.sum(u * function(point))), (z,), (dz,))[1]


def _jvp(function):
    return lambda z, dz: jax.jvp(function, (z,), (dz,))[1]


def _vjp(function):
    return lambda z, u: jax.vjp(function, z)[1](u)[0]


def _formula(q, k, v, bias):
    return dense_attention(q, k, v, PAIRS._replace(bias=bias), scale=SCALE, softcap=SOFTCAP)


def _blocks(q, k, v, bias):
    return blockwise_attention(q, k, v, PAIRS._replace(bias=bias), scale=SCALE, softcap=SOFTCAP, block_size=3)


def _grad_by_hand(q, k, v, bias, d_out):
    return derivatives.attention_vjp(q, k, v, d_out, PAIRS._replace(bias=bias), scale=SCALE, softcap=SOFTCAP)


def _grad_by_autodiff(attend):
    return lambda q, k, v, bias, d_out: AttentionGrad(*jax.vjp(attend, q, k, v, bias)[1](d_out))


def _jvp_by_hand(q, k, v, bias, *tangents):
    """With the value itself beside it, as jax.jvp gives them."""
    pairs = PAIRS._replace(bias=bias)
    return (_formula(q, k, v, bias),
            derivatives.attention_jvp(q, k, v, tangents, pairs, scale=SCALE, softcap=SOFTCAP))


def _uncapped(q, k, v, bias):
    return dense_attention(q, k, v, PAIRS._replace(bias=bias), scale=SCALE)


def _uncapped_jvp(q, k, v, bias, *tangents):
    return (_uncapped(q, k, v, bias),
            derivatives.attention_jvp(q, k, v, tangents, PAIRS._replace(bias=bias), scale=SCALE))


def _jvp_by_autodiff(attend):
    return lambda q, k, v, bias, *tangents: jax.jvp(partial(attend, bias=bias), (q, k, v), tangents)


def _hessian_product(attend):
    """Of Σ sin(attention), in the direction of the inputs themselves."""
    gradient = jax.grad(lambda *inputs: jnp.sum(jnp.sin(attend(*inputs))), argnums=(0, 1, 2, 3))
    return lambda *inputs: jax.jvp(gradient, inputs, inputs)[1]


def _predictions(key, dtype):
    logit_key, token_key, weight_key = jax.random.split(key, 3)
    shape = (2, 3)
    targets = jax.random.randint(token_key, shape, 0, CLASSES)
    weights = jax.random.bernoulli(weight_key, 0.7, shape).astype(dtype).at[0, 0].set(0.5)
    return 3 * jax.random.normal(logit_key, (*shape, CLASSES), dtype), Tokens(targets, targets, weights)


def _loss_grad(logits, batch):
    return jax.grad(lambda z: next_token_cross_entropy(
        z, batch, apply_fn=lambda params, inputs, dropout: params, label_smoothing=0.1, z_loss=0.01)[0])(logits)


def _writing(key, dtype):
    """Parameters that are no longer zero anywhere, and a text longer than what is seen at once."""
    shapes = jax.eval_shape(MODEL.init, key, jnp.zeros((1, 1), int))
    leaves, structure = jax.tree.flatten(shapes)
    keys = jax.random.split(key, len(leaves) + 1)
    params = [0.5 * jax.random.normal(one, leaf.shape, dtype) for one, leaf in zip(keys, leaves)]
    return jax.tree.unflatten(structure, params), jax.random.randint(keys[-1], (2, 6), 0, MODEL.num_tokens)


def _one_by_one(params, tokens):
    cache = init_cache(MODEL, batch_size=2, capacity=3, dtype=jax.tree.leaves(params)[0].dtype)

    def step(cache, column):
        logits, cache = extend(MODEL, params, column, cache)
        return cache, logits

    return jax.lax.scan(step, cache, tokens.T)[1].swapaxes(0, 1)


def _products(q, k, start):
    """⟨rotate(q, i), rotate(k, j)⟩ for all i and j, from a position on."""
    at = start + jnp.arange(LENGTH)
    return jnp.einsum("btnh,bsnh->bnts", rotate(q, at), rotate(k, at))


IDENTITIES = (
    Identity("J softmax = diag(s) − s sᵀ", derivatives.softmax_jacobian, jax.jacrev(_softmax), _normal((CLASSES,))),
    Identity("J dz of softmax", derivatives.softmax_jvp, _jvp(_softmax), _normal(ROW, ROW)),
    Identity("Jᵀ u of softmax", derivatives.softmax_vjp, _vjp(_softmax), _normal(ROW, ROW)),
    Identity("∇² ⟨u, softmax⟩ dz", derivatives.softmax_hvp, _hvp(_softmax), _normal(ROW, ROW, ROW)),
    Identity("J dz of log softmax", derivatives.log_softmax_jvp, _jvp(_log_softmax), _normal(ROW, ROW)),
    Identity("Jᵀ u of log softmax", derivatives.log_softmax_vjp, _vjp(_log_softmax), _normal(ROW, ROW)),
    Identity("∇² ⟨u, log softmax⟩ dz", derivatives.log_softmax_hvp, _hvp(_log_softmax), _normal(ROW, ROW, ROW)),
    Identity("∇² log Σ exp dz = J dz of softmax", derivatives.logsumexp_hvp,
             _jvp(jax.grad(lambda z: jnp.sum(jax.nn.logsumexp(z, axis=-1)))), _normal(ROW, ROW)),
    Identity("∇ cross-entropy = p − y", derivatives.cross_entropy_grad,
             lambda z, y: jax.grad(lambda point: -jnp.sum(y * _log_softmax(point)))(z), _normal(ROW, ROW)),
    Identity("∇² cross-entropy dz = Σy J dz", derivatives.cross_entropy_hvp,
             lambda z, y, dz: _hvp(lambda point: -_log_softmax(point))(z, y, dz), _normal(ROW, ROW, ROW)),
    Identity("∇ next-token loss, smoothed, with z-loss",
             lambda z, batch: derivatives.next_token_logits_grad(z, batch, label_smoothing=0.1, z_loss=0.01),
             _loss_grad, _predictions),
    Identity("∇ cross-entropy = by finite differences", derivatives.cross_entropy_grad,
             lambda z, y: finite_difference(lambda point: -jnp.sum(y * _log_softmax(point)), z), _normal(ROW, ROW),
             tolerance=1e-6, float32_tolerance=0.02),
    Identity("∇ attention to q, k, v, bias", _grad_by_hand, _grad_by_autodiff(_formula), _normal(*INPUTS, QUERY)),
    Identity("J of attention to q, k, v, no soft cap", _uncapped_jvp, _jvp_by_autodiff(_uncapped),
             _normal(*INPUTS, *INPUTS[:3])),
    Identity("∇ attention in blocks = by hand", _grad_by_autodiff(_blocks), _grad_by_hand, _normal(*INPUTS, QUERY)),
    Identity("attention in blocks, and its J = the formula, and by hand", _jvp_by_autodiff(_blocks), _jvp_by_hand,
             _normal(*INPUTS, *INPUTS[:3])),
    Identity("∇² attention in blocks = of the formula", _hessian_product(_blocks), _hessian_product(_formula),
             _normal(*INPUTS)),
    Identity("rotated products depend on the distance", lambda q, k: _products(q, k, 0),
             lambda q, k: _products(q, k, 100), _normal(QUERY, QUERY)),
    Identity("token by token = the full pass", _one_by_one, MODEL.apply, _writing),
)
