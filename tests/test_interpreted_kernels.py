"""A case of every Triton kernel in the interpreter; their own files run all cases, marked slow."""

import os
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

CASES = (
    "deform/test_deform_columns.py::test_triton_sees_zeros_outside_however_far[columns]",
    "deform/test_deform_columns.py::test_triton_sees_zeros_outside_however_far[fused]",
    "deform/test_deform_gradient.py::test_triton_adds_all_samples_of_one_place",
    "deform/test_deform_triton.py::test_half_values_are_summed_in_float32[values0]",
    "detect/test_fast_kernels.py::test_interpreted_ties_keep_their_order[1-cpu]",
    "detect/test_photos.py::test_interpreted_photos_are_rounded_at_the_end[cpu]",
    "detect/test_head_rows.py::test_interpreted_coefficients_get_their_activation[cpu]",
    "geometry/test_assembly_kernel.py::test_interpreted_masks_are_those_of_the_operators[1-1-cpu]",
    "geometry/test_device_masks.py::test_every_kind_of_mask_has_the_bytes_of_the_host[size1]",
    "geometry/test_device_masks.py::test_every_kind_of_mask_has_the_pixels_of_the_host[size1]",
    "loss/test_hardest.py::test_interpreted_or_run_the_component_takes_the_kernels[cpu]",
    "loss/test_claim_kernel.py::test_interpreted_or_run_nobody_claims_where_all_are_crowds[cpu]",
    "runtime/test_strided_pair.py::test_interpreted_or_run_a_pixel_that_is_no_number_spoils_what_sees_it[cpu]",
)


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="this is what it starts")
def test_a_case_of_every_kernel_passes_in_the_interpreter() -> None:
    """In one process for all: Triton asks for its interpreter when it is imported."""
    pytest.importorskip("triton")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *CASES],
        cwd=ROOT / "tests" / "yolact_bench",
        env={**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert f"{len(CASES)} passed" in done.stdout
