"""Mutants that are not wrong: by application, the change to the reason why no identity can notice it."""

EQUIVALENT: dict[str, dict[str, str]] = {
    "convolution": {
        "input_grad: w.shape[-2] * groups → groups":
            "how many channels a check divides into groups; a multiple of groups is refused as little as groups are",
    },
    "gan": {
        "_flat: return jnp.zeros_like(r) → negated": "−0 = 0",
        "_hinge: zero - 1 → -1": "zero is 0 and gives the shape alone, which −1 takes on in the product that follows",
        "_wasserstein: zero - 1 → -1": "as in _hinge",
        "_wasserstein: zero + 1 → 1": "as in _hinge",
    },
}
