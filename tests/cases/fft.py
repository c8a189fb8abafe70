"""Cases of `ops/fft.py`: lengths, axes, normalisations, padding and cropping, real and complex."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from tests.cases.case import Case

_ONE = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
_PRIMITIVE = {"hfft": "irfft", "ihfft": "rfft"}
_REAL_INPUT = ("rfft", "ihfft")
_ARGUMENTS: tuple[tuple[tuple[int, ...], dict[str, Any]], ...] = (
    ((6,), {}),
    ((5,), {}),
    ((2,), {}),
    ((3, 4), {}),
    ((3, 4), {"axis": 0}),
    ((3, 4), {"axis": -2, "n": 5}),
    ((3, 6), {"n": 4}),
    ((3, 6), {"n": 3}),
    ((3,), {"n": 8}),
    ((3,), {"n": 1}),
    ((3, 4), {"norm": "ortho"}),
    ((5,), {"norm": "forward", "n": 7}),
    ((4,), {"norm": "backward"}),
    ((0, 4), {}),
)
_SEVERAL: tuple[tuple[tuple[int, ...], dict[str, Any]], ...] = (
    ((3, 4), {}),
    ((2, 3, 4), {"axes": (0, 2)}),
    ((2, 3, 4), {"axes": (2, 1), "norm": "ortho"}),
    ((2, 3, 4), {"axes": (-1, -3), "s": (6, 3)}),
    ((3, 4), {"axes": (0, 1), "s": (2, -1), "norm": "forward"}),
)

CASES = (
    [
        Case(
            _PRIMITIVE.get(name, name),
            partial(getattr(np.fft, name), **arguments),
            (shape,),
            domain=((-2.0, 2.0),),
            complex=name not in _REAL_INPUT,
            label=f"{name}-{shape}-{arguments}",
        )
        for name in _ONE
        for shape, arguments in _ARGUMENTS
    ]
    + [
        Case(
            "rfft" if real_input else "irfft" if name.startswith("ir") else name.rstrip("2n"),
            partial(getattr(np.fft, name), **arguments),
            (shape,),
            domain=((-2.0, 2.0),),
            complex=not real_input,
            label=f"{name}-{shape}-{arguments}",
        )
        for name in (
            *("fft2", "ifft2", "rfft2", "irfft2"),
            *("fftn", "ifftn", "rfftn", "irfftn"),
        )
        for real_input in [name.startswith("rfft")]
        for shape, arguments in _SEVERAL
    ]
    + [
        Case(
            "getitem",
            lambda x, f=f, axes=axes: f(x, axes),
            (shape,),
            domain=((-2.0, 2.0),),
            complex=True,
            label=f"{f.__name__}-{shape}-{axes}",
        )
        for f in (np.fft.fftshift, np.fft.ifftshift)
        for shape, axes in (((5,), None), ((3, 4), None), ((3, 4), 0), ((3, 4), (-1,)))
    ]
)
