"""Collectives read from programs: a real one, and lines as a TPU's compiler writes them."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from experiments.porting.collectives import Traffic, traffic
from sandbox.sharding import make_mesh


@pytest.mark.parametrize("steps", [1, 10])
def test_an_all_reduce_in_a_scan_counts_as_often_as_it_runs(steps):
    mesh = make_mesh({"data": 8})
    rows = jax.ShapeDtypeStruct((16, 64), jnp.float32, sharding=NamedSharding(mesh, PartitionSpec("data")))
    weights = jax.ShapeDtypeStruct((64, 32), jnp.float32, sharding=NamedSharding(mesh, PartitionSpec()))

    def descend(weights, rows):
        slope = jax.grad(lambda weights: jnp.sum(jnp.tanh(rows @ weights)))
        return jax.lax.scan(lambda weights, _: (weights - slope(weights), None), weights, length=steps)[0]

    copied = jax.jit(descend, out_shardings=weights.sharding)
    assert traffic(copied.lower(weights, rows).compile().as_text()) == {
        "all-reduce": Traffic(steps, steps * 64 * 32 * 4)}


AS_A_TPU_HAS_IT = """HloModule jit_f, num_partitions=4

%add (x: f32[], y: f32[]) -> f32[] {
  %x = f32[] parameter(0)
  %y = f32[] parameter(1)
  ROOT %sum = f32[] add(%x, %y)
}

%fused (p: f32[4,8]) -> f32[4,8] {
  %p = f32[4,8]{1,0:T(4,128)} parameter(0)
  ROOT %all-reduce.9 = f32[4,8]{1,0:T(4,128)} all-reduce(%p), replica_groups={{0,1}}, to_apply=%add
}

%body (state: (s32[], f32[4,8])) -> (s32[], f32[4,8]) {
  %state = (s32[]{:T(128)}, f32[4,8]{1,0:T(4,128)S(1)}) parameter(0)
  %mine = f32[4,8]{1,0:T(4,128)} get-tuple-element(%state), index=1
  %fusion = f32[4,8]{1,0:T(4,128)} fusion(%mine), kind=kCustom, calls=%fused
  %all-gather-start = (f32[4,8]{1,0}, f32[16,8]{1,0}) all-gather-start(%fusion), dimensions={0}
  %all-gather-done = f32[16,8]{1,0} all-gather-done(%all-gather-start)
  %reduce-scatter = bf16[4,8]{1,0:T(4,128)(2,1)} reduce-scatter(%wide), to_apply=%add
  %wide = bf16[16,8]{1,0:T(8,128)(2,1)} convert(%all-gather-done)
  ROOT %next = (s32[]{:T(128)}, f32[4,8]{1,0}) tuple(%count, %fusion)
}

%condition (state.1: (s32[], f32[4,8])) -> pred[] {
  %limit = s32[]{:T(128)} constant(7)
  %state.1 = (s32[]{:T(128)}, f32[4,8]{1,0}) parameter(0)
  %turn = s32[]{:T(128)} get-tuple-element(%state.1), index=0
  ROOT %less = pred[]{:T(512)} compare(%turn, %limit), direction=LT
}

ENTRY %main (x.1: f32[4,8]) -> (s32[], f32[4,8]) {
  %x.1 = f32[4,8]{1,0} parameter(0)
  %moved = (f32[4,8]{1,0}, f32[4,8]{1,0}, u32[], u32[]) collective-permute-start(%x.1), source_target_pairs={{0,1}}
  ROOT %while = (s32[]{:T(128)}, f32[4,8]{1,0}) while(%tuple), condition=%condition, body=%body
}
"""


OF_SEVERAL_AND_BRANCHING = """HloModule jit_g, num_partitions=4

%little (p: f32[4,8]) -> f32[16,8] {
  %p = f32[4,8]{1,0} parameter(0)
  ROOT %all-gather.1 = f32[16,8]{1,0} all-gather(%p), dimensions={0}
}

%much (q: f32[4,8]) -> f32[16,8] {
  %q = f32[4,8]{1,0} parameter(0)
  %all-reduce.1 = f32[4,8]{1,0} all-reduce(%q), replica_groups={{0,1}}, to_apply=%add
  %all-reduce.2 = f32[16,8]{1,0} all-reduce(%q), replica_groups={{0,1}}, to_apply=%add
  ROOT %wide = f32[16,8]{1,0} broadcast(%all-reduce.1)
}

ENTRY %main (a: f32[4,8], b: bf16[2,8], c: pred[]) -> f32[16,8] {
  %a = f32[4,8]{1,0:T(4,128)} parameter(0)
  %b = bf16[2,8]{1,0:T(2,128)(2,1)} parameter(1)
  %c = pred[]{:T(512)} parameter(2)
  %start = ((f32[4,8]{1,0:T(4,128)}, bf16[2,8]{1,0}), (f32[16,8]{1,0}, bf16[8,8]{1,0})) all-gather-start(%a, %b)
  %done = (f32[16,8]{1,0}, bf16[8,8]{1,0}) all-gather-done(%start)
  %one = f32[16,8]{1,0} conditional(%c, %a, %a), true_computation=%little, false_computation=%much
  ROOT %other = f32[16,8]{1,0} conditional(%c, %a, %a), branch_computations={%much, %little}
}
"""


def test_all_arrays_of_an_asynchronous_collective_count_and_of_branches_the_one_that_sends_most():
    assert traffic(OF_SEVERAL_AND_BRANCHING) == {
        "all-gather": Traffic(1, 16 * 8 * 4 + 8 * 8 * 2),
        "all-reduce": Traffic(2 * 2, 2 * (4 + 16) * 8 * 4),
    }


def test_fused_asynchronous_and_uncounted_loops_are_understood():
    assert traffic(AS_A_TPU_HAS_IT) == {
        "all-reduce": Traffic(7, 7 * 4 * 8 * 4),
        "all-gather": Traffic(7, 7 * 16 * 8 * 4),  # what is gotten: more than is given
        "reduce-scatter": Traffic(7, 7 * 16 * 8 * 2),  # what is given: more than is gotten
        "collective-permute": Traffic(1, 4 * 8 * 4),
    }
