"""Where the Jacobians of the op table have their entries: never fewer than are not zero, and no
more but for stated reasons."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from tests.laws import _on_variables
from tests.op_cases import CASES
from thalweg.errors import UserError
from thalweg.tree import flatten

CHOICE = "values decide which operand, entry or branch counts; a global pattern has all of them"
STEP = "piecewise constant: NumPy's rule is a factor of zero, which is no structure"
FACTOR = "a factor, constant or of this point, is zero here; only those of matrices are looked at"
FUNCTIONS = "given by functions: computed densely where that costs no more, and then all count"
GROUPS = {
    CHOICE: """
        maximum minimum fmax fmin clip where norm max min masked_max masked_min masked_sum
        masked_prod nansum nanprod nanmean nanmax nanmin nanvar nanstd fmax_reduce fmin_reduce
        median quantile nanmedian nanquantile sort var std mean pad getitem digitize broadcast_to
        logsumexp logaddexp_reduce softmax random log
    """,
    STEP: """
        heaviside lcm less less_equal greater greater_equal equal logical_and logical_or logical_xor
        logical_not isnan isinf signbit floor trunc rint round right_shift array_equal array_equiv
        allclose isclose isin isposinf isneginf all any count_nonzero
    """,
    FACTOR: "power imag arctan2 linspace geomspace prod einsum",
    FUNCTIONS: """
        cumsum cumprod maximum_accumulate minimum_accumulate linear_recurrence subtract convolve fft
        ifft rfft irfft implicit add_at solve pinv lstsq slogdet cholesky eigh eigvalsh eig eigvals
        svd svdvals qr qr_r log_softmax remat solve_triangular mirror lu_factor permutation expm
        expm_frechet logm sqrtm sylvester unitary_factor
    """,
}
EXCEPTIONS = {op: reason for reason, ops in GROUPS.items() for op in ops.split()}
OPS = sorted({case.op for case in CASES})


def blocks(case, complex_, form):
    f, args = _on_variables(case, case.operands(complex_=complex_))
    return flatten(tw.jacobian(f, range(len(args)), form=form)(*args))[0]


@pytest.mark.parametrize("op", OPS)
def test_patterns(op):
    more = []
    for case in CASES:
        if case.op != op:
            continue
        for complex_ in (False, True) if case.complex else (False,):
            try:
                dense = blocks(case, complex_, "dense")
            except (UserError, TypeError, ValueError):  # no floating operand, or no matrix
                continue
            for block, full in zip(blocks(case, complex_, "sparse"), dense, strict=True):
                full = np.reshape(full, block.shape)
                np.testing.assert_allclose(block.toarray(), full, rtol=1e-9, atol=1e-11)
                pattern = block.copy()
                pattern.data = np.ones(pattern.nnz, bool)
                there = pattern.toarray()
                assert not np.any(full[~there]), case.id
                if there.sum() > np.count_nonzero(full):
                    more.append(case.id)
    assert bool(more) == (op in EXCEPTIONS), more


def test_a_choice_is_exact_at_a_point():
    x = np.array([3.0, -1.0, 2.0])
    for f in (np.max, lambda x: np.maximum(x, 0.0), np.median, lambda x: np.where(x > 0, x, 0)):
        local = tw.jacobian(f, form="sparse", pattern="local")(x)
        assert local.nnz == np.count_nonzero(tw.jacobian(f)(x))
