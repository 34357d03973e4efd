"""What this wing satisfies."""

import jax

from sandbox.identities import Identity, normals
from sandbox.logistic import derivatives, losses


def _draw(key, dtype):
    w, x, y, weight = normals((3,), (5, 3), (5,), (5,))(key, dtype)
    return w, losses.Labelled(x, (y > 0).astype(dtype), weight**2)


IDENTITIES = (Identity("∇ log loss = E (p − y) x", derivatives.log_loss_grad,
                       lambda *inputs: jax.grad(losses.log_loss, has_aux=True)(*inputs)[0], _draw),)
