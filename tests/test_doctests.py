"""Every example in a docstring runs, and every public function of sandbox has one."""

import doctest
import importlib
import inspect
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import experiments
import sandbox


def modules(package):
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    apart = ("__main__", "_peers")  # commands, and what runs in the peers' environment
    return [package.__name__, *(module.name for module in found if not module.name.endswith(apart))]


@pytest.mark.parametrize("name", modules(sandbox) + modules(experiments))
def test_examples_run(name):
    module = importlib.import_module(name)
    outcome = doctest.testmod(module, extraglobs={"jax": jax, "jnp": jnp, "np": np},
                              optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert outcome.failed == 0


@pytest.mark.parametrize("name", modules(sandbox))
def test_public_functions_are_documented_with_an_example(name):
    module = importlib.import_module(name)
    for function in vars(module).values():
        if inspect.isfunction(function) and function.__module__ == name and not function.__name__.startswith("_"):
            assert ">>>" in (function.__doc__ or ""), f"{name}.{function.__name__} has no example"
