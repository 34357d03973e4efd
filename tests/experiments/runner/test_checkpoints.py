"""Checkpoints come back to the bit, and every damaged one is noticed."""

import json
import shutil
from collections import namedtuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.runner import checkpoints
from experiments.runner.checkpoints import CheckpointError
from sandbox.sharding import make_mesh, place, where_it_fits
from sandbox.training import init_state

RECORD = {"experiment": "tiny", "step": 3, "loss": float("nan")}


def state(seed=0, size=3):
    params = {"w": jax.random.normal(jax.random.key(seed), (size,)), "n": jnp.array([jnp.nan, jnp.inf])}
    return init_state(params, optax.adam(0.1), jax.random.key(seed))


def bits(tree):
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
                        else leaf, tree)


def files_of(path):
    return sorted(file for file in path.rglob("*") if file.is_file() and file.stat().st_size)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "000000003"
    checkpoints.save(path, state(), RECORD)
    return path


def test_a_state_with_keys_and_nans_comes_back_to_the_bit(saved):
    tree, record = checkpoints.load(saved, state(seed=1))
    chex.assert_trees_all_equal(bits(tree), bits(state()))
    assert isinstance(tree, type(state())) and record["step"] == 3


def test_without_a_template_it_comes_back_as_dictionaries(tmp_path):
    pair = namedtuple("pair", "left right")
    checkpoints.save(tmp_path / "c", {"p": pair(jnp.ones(2), jnp.zeros(1))}, {})
    tree, _ = checkpoints.load(tmp_path / "c")
    assert sorted(tree["p"]) == ["left", "right"] and np.array_equal(tree["p"]["left"], np.ones(2))


def test_one_flipped_byte_in_any_file_is_noticed(saved):
    random = np.random.default_rng(0)
    for file in files_of(saved):
        content = file.read_bytes()
        for position in random.integers(len(content), size=3):
            broken = bytearray(content)
            broken[position] ^= 0x10
            file.write_bytes(broken)
            with pytest.raises(CheckpointError, match="is damaged"):
                checkpoints.load(saved, state())
        file.write_bytes(content)
    checkpoints.load(saved, state())


@pytest.mark.parametrize("how", ["truncate", "delete"])
def test_a_truncated_or_missing_file_is_refused(saved, tmp_path, how):
    largest = max(files_of(saved / "state"), key=lambda file: file.stat().st_size)
    if how == "delete":
        largest.unlink()
    else:
        largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])
    with pytest.raises(CheckpointError, match="is damaged"):
        checkpoints.load(saved, state())


def test_an_edited_record_is_refused(saved):
    record = json.loads((saved / "record.json").read_text())
    (saved / "record.json").write_text(json.dumps({**record, "step": 4}))
    with pytest.raises(CheckpointError, match="record is not what was written"):
        checkpoints.load(saved, state())


def test_what_eight_devices_saved_two_or_one_restore(tmp_path):
    def placed(tree, devices):
        mesh = make_mesh({"data": devices}, jax.devices()[:devices])
        return place(mesh, tree, [("w", where_it_fits("data"))])

    checkpoints.save(tmp_path / "c", placed(state(size=16), 8), RECORD)
    for devices in (2, 1):
        tree, _ = checkpoints.load(tmp_path / "c", placed(state(seed=1, size=16), devices))
        assert len(tree.params["w"].sharding.device_set) == devices
        chex.assert_trees_all_equal(bits(jax.device_get(tree.params)), bits(jax.device_get(state(size=16).params)))


def test_another_shape_is_refused_by_leaf(saved):
    with pytest.raises(CheckpointError, match=r"another experiment or config: it has leaf .*/w float32 \[3\]"):
        checkpoints.load(saved, state(size=4))


def test_the_last_good_one_is_named(tmp_path):
    for step in (1, 2):
        checkpoints.save(checkpoints.step_path(tmp_path, "stage", step), state(), {"experiment": "tiny", "step": step})
    (checkpoints.step_path(tmp_path, "stage", 2) / "record.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"last good one is .*000000001: delete or move away") as refusal:
        checkpoints.load_newest(tmp_path, "stage", state(), {"experiment": "tiny"})
    assert "000000002 is damaged" in str(refusal.value)


def test_no_good_one_is_said_too(tmp_path):
    path = checkpoints.step_path(tmp_path, "stage", 1)
    checkpoints.save(path, state(), {"experiment": "other"})
    with pytest.raises(CheckpointError, match="is of another run: its experiment is other, not tiny") as refusal:
        checkpoints.load_newest(tmp_path, "stage", state(), {"experiment": "tiny"})
    assert "no other good one" in str(refusal.value)


def test_only_the_newest_are_kept(tmp_path):
    for step in range(4):
        checkpoints.save(checkpoints.step_path(tmp_path, "stage", step), state(), {})
        checkpoints.prune(tmp_path, "stage")
    assert checkpoints.steps(tmp_path, "stage") == [2, 3]


def test_a_full_disk_is_noticed_before_writing_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("usage", "free")(10))
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(tmp_path / "c", state(), {})
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_fails_half_way_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints.files, "write_json", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError):
        checkpoints.save(tmp_path / "c", state(), {})
    assert list(tmp_path.iterdir()) == []
