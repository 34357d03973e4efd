"""Convolution and pooling as they are explained: one place, one tap, one channel at a time, in NumPy.

A window is of the kernel's size, strides s, padding (lo, hi), dilation d and input dilation a, each of every axis.
"""

import numpy as np


def seen(place, tap, size, *, strides, padding, dilation, input_dilation):
    """The place of the input under a tap of the window at a place of the output; None in padding and between places."""
    spread = [p * s + k * d - lo for p, s, k, d, (lo, _) in zip(place, strides, tap, dilation, padding)]
    at = tuple(q // a for q, a in zip(spread, input_dilation))
    inside = all(q % a == 0 and 0 <= one < n for q, a, one, n in zip(spread, input_dilation, at, size))
    return at if inside else None


def output_size(size, kernel_size, *, strides, padding, dilation, input_dilation):
    """How often the window fits, counted."""
    ends = [a * (n - 1) + lo + hi for n, (lo, hi), a in zip(size, padding, input_dilation)]
    return tuple(len(range(0, end - d * (k - 1) + 1, s)) for end, k, s, d in zip(ends, kernel_size, strides, dilation))


def _terms(x, w, size, kernel_size, groups, how):
    """Every (n, p, o), (n, q, i), (k, i of the group, o) that meet, for operands x and w, or shapes like theirs."""
    (rows, inside), out = (x[0], x[-1]), w[-1]
    for place in np.ndindex(*output_size(size, kernel_size, **how)):
        for tap in np.ndindex(*kernel_size):
            at = seen(place, tap, size, **how)
            for n, o, i in np.ndindex(rows, out, inside // groups) if at else ():
                yield (n, *place, o), (n, *at, o // (out // groups) * (inside // groups) + i), (*tap, i, o)


def conv(x, w, *, groups=1, **how):
    y = np.zeros((len(x), *output_size(x.shape[1:-1], w.shape[:-2], **how), w.shape[-1]))
    for of_y, of_x, of_w in _terms(x.shape, w.shape, x.shape[1:-1], w.shape[:-2], groups, how):
        y[of_y] += x[of_x] * w[of_w]
    return y


def gradient(x, w, dy, *, groups=1, **how):
    """∂L/∂x and ∂L/∂w, given ∂L/∂y: what each product owes its two factors."""
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for of_y, of_x, of_w in _terms(x.shape, w.shape, x.shape[1:-1], w.shape[:-2], groups, how):
        dx[of_x] += dy[of_y] * w[of_w]
        dw[of_w] += dy[of_y] * x[of_x]
    return dx, dw


def pool(x, dy, window, *, largest, strides, padding):
    """Largest, the first of them, or average of what a window sees, and the gradient to x, given that to the output."""
    how = {"strides": strides, "padding": padding, "dilation": (1,) * len(window), "input_dilation": (1,) * len(window)}
    y, dx = np.zeros(dy.shape), np.zeros(x.shape)
    for n, *place, c in np.ndindex(*dy.shape):
        taps = [seen(place, tap, x.shape[1:-1], **how) for tap in np.ndindex(*window)]
        places = [at for at in taps if at]
        values = np.array([x[(n, *at, c)] for at in places])
        share = np.eye(len(values))[values.argmax()] if largest else np.full(len(values), 1 / len(values))
        y[(n, *place, c)] = share @ values
        for at, part in zip(places, share):
            dx[(n, *at, c)] += part * dy[(n, *place, c)]
    return y, dx
