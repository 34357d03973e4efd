"""Language: softmax(q kᵀ/√H) v, layer upon layer, learns to write by L = −log s_next, with s = softmax(z).

∂s/∂z = diag(s) − s sᵀ, so that ∂L/∂z = s − e_next: what was expected, less what came.

dispatch: attention, by dense, blockwise or fused; pairs: which query sees which key. derivatives, identities: the
calculus by hand, and the proof. losses: the next token's cross-entropy. rotary, networks, decoding, sampling,
optimizer: a model of language, from its parameters to its text.
"""

from sandbox.attention import (
    blockwise,
    decoding,
    dense,
    derivatives,
    dispatch,
    fused,
    losses,
    networks,
    optimizer,
    pairs,
    rotary,
    sampling,
)
from sandbox.attention.decoding import Cache, extend, generate, init_cache
from sandbox.attention.dense import attention_weights
from sandbox.attention.dispatch import IMPLEMENTATIONS, attention
from sandbox.attention.losses import Tokens, next_token_cross_entropy
from sandbox.attention.networks import Transformer
from sandbox.attention.optimizer import muon_and_adam
from sandbox.attention.pairs import Pairs
from sandbox.attention.rotary import rotate
from sandbox.attention.sampling import draw_blocks, draw_dropout, draw_token

__all__ = [
    "IMPLEMENTATIONS", "Cache", "Pairs", "Tokens", "Transformer", "attention", "attention_weights", "blockwise",
    "decoding", "dense", "derivatives", "dispatch", "draw_blocks", "draw_dropout", "draw_token", "extend", "fused",
    "generate", "init_cache", "losses", "muon_and_adam", "networks", "next_token_cross_entropy",
    "optimizer", "pairs", "rotary", "rotate", "sampling",
]
