"""Vision: y[p] = Σ_k x[p + k] w[k], layer upon layer, learns to see by L = −log p(class).

∂L/∂w[k] = Σ_p x[p + k]ᵀ ∂L/∂y[p], a cross-correlation, and ∂L/∂x[p] = Σ_k ∂L/∂y[p − k] w[k]ᵀ: convolutions again.

convolve, geometry, stacked, taps, pooling: the operations, fast in a compiled loop. derivatives, backpropagation,
identities: the calculus by hand, and the proof. losses: classes, and maps. augmentation, networks, optimizer: a
classifier of images.
"""

from sandbox.convolution import (
    augmentation,
    backpropagation,
    convolve,
    derivatives,
    geometry,
    losses,
    networks,
    optimizer,
    pooling,
    stacked,
    taps,
)
from sandbox.convolution.augmentation import cutout, flip, mean_over_views, mixup, shift
from sandbox.convolution.convolve import conv, conv_general_dilated
from sandbox.convolution.losses import Images, Maps, cross_entropy, squared_error
from sandbox.convolution.networks import ResidualNetwork, SmallNetwork
from sandbox.convolution.optimizer import kernels_and_rest
from sandbox.convolution.pooling import average_pool, max_pool

__all__ = [
    "Images", "Maps", "ResidualNetwork", "SmallNetwork", "augmentation", "average_pool", "backpropagation", "conv",
    "conv_general_dilated", "convolve", "cross_entropy", "cutout", "derivatives", "flip", "geometry",
    "kernels_and_rest", "losses", "max_pool", "mean_over_views", "mixup", "networks", "optimizer", "pooling", "shift",
    "squared_error", "stacked", "taps",
]
