"""A user's own primitive: any order, several operands and outputs, and errors that help."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg.graph.primitive import PRIMITIVES, lookup

ROOT = Path(__file__).resolve().parents[1]
kinds = tw.kinds


@tw.primitive
def softplus(x):
    """log(1 + e^x)."""
    return np.logaddexp(x, 0)


@softplus.local
def _(out, x):
    return kinds.Diagonal(1 / (1 + np.exp(-x)))


@tw.primitive
def affine(w, x, b):
    return w @ x + b


@affine.local
def _(out, w, x, b):
    return (
        kinds.Contract(("ij", "j"), "i", 0, (x,)),
        kinds.MatMulLeft(w),
        kinds.Identity(),
    )


@tw.primitive
def scaled_power(x, *, n=2):
    return x**n


@scaled_power.local
def _(out, x, *, n):
    return kinds.Diagonal(n * x ** (n - 1))


@tw.primitive(outputs=2)
def polar(x, y):
    return np.hypot(x, y), np.arctan2(y, x)


@polar.local
def _(out, x, y):
    r, _ = out
    return (
        kinds.Custom(
            lambda t: (t * x / r, -t * y / r**2), lambda c: c[0] * x / r - c[1] * y / r**2
        ),
        kinds.Custom(lambda t: (t * y / r, t * x / r**2), lambda c: c[0] * y / r + c[1] * x / r**2),
    )


def logistic(x):
    return 1 / (1 + np.exp(-x))


def test_value_and_every_order():
    x = 0.3
    s = logistic(x)
    d1, d2 = tw.grad(softplus), tw.grad(tw.grad(softplus))
    assert softplus(x) == np.logaddexp(x, 0)
    assert d1(x) == pytest.approx(s, rel=1e-15)
    assert d2(x) == pytest.approx(s * (1 - s), rel=1e-14)
    assert tw.grad(d2)(x) == pytest.approx(s * (1 - s) * (1 - 2 * s), rel=1e-13)
    _, forward = tw.jvp(d1, (x,), (1.0,))
    assert forward == pytest.approx(s * (1 - s), rel=1e-14)


def test_it_is_one_gate_with_the_functions_name():
    assert softplus.name == f"{__name__}.softplus"
    assert lookup(softplus.name) is softplus.record
    assert softplus.__doc__ == "log(1 + e^x)."
    assert softplus.record.labels.gate == "softplus"


def test_several_operands():
    rng = np.random.default_rng(0)
    w, x, b = rng.standard_normal((3, 4)), rng.standard_normal(4), rng.standard_normal(3)
    own = tw.grad(lambda *a: np.sum(affine(*a) ** 3), (0, 1, 2))(w, x, b)
    plain = tw.grad(lambda w, x, b: np.sum((w @ x + b) ** 3), (0, 1, 2))(w, x, b)
    for a, c in zip(own, plain, strict=True):
        np.testing.assert_allclose(a, c, rtol=1e-13)
    tw.check_primitive(affine, w, x, b)


def test_a_constant_operand_and_a_python_number():
    rng = np.random.default_rng(0)
    w, x = rng.standard_normal((3, 4)), rng.standard_normal(4)
    np.testing.assert_allclose(
        tw.grad(lambda x: np.sum(affine(w, x, 2.0)))(x), w.sum(axis=0), rtol=1e-14
    )


def test_float32_stays():
    g = tw.grad(lambda x: np.sum(affine(np.eye(2, dtype=np.float32), x, 2.0)))
    assert g(np.ones(2, np.float32)).dtype == np.float32


def test_static_keyword_parameters():
    assert tw.grad(lambda x: scaled_power(x, n=3))(2.0) == 12.0
    assert tw.grad(scaled_power)(2.0) == 4.0
    with pytest.raises(tw.errors.TracingError, match="'n' got a traced array"):
        tw.grad(lambda x: scaled_power(2.0, n=x))(2.0)


def test_several_outputs():
    def own(x, y):
        r, angle = polar(x, y)
        return r * angle + np.sin(angle)

    def plain(x, y):
        return np.hypot(x, y) * np.arctan2(y, x) + np.sin(np.arctan2(y, x))

    np.testing.assert_allclose(tw.grad(own, (0, 1))(1.0, 2.0), tw.grad(plain, (0, 1))(1.0, 2.0))
    np.testing.assert_allclose(
        tw.grad(tw.grad(own, 1))(1.0, 2.0), tw.grad(tw.grad(plain, 1))(1.0, 2.0)
    )
    np.testing.assert_allclose(
        tw.jvp(tw.grad(own), (1.0, 2.0), (0.5, 1.0))[1],
        tw.jvp(tw.grad(plain), (1.0, 2.0), (0.5, 1.0))[1],
    )
    assert polar(3.0, 4.0)[0] == 5.0
    tw.check_primitive(polar, np.array([1.0, 2.0]), np.array([0.5, -1.0]))


def test_rules_see_ordinary_handles():
    """Methods of arrays work in a rule, in the first order and the second."""

    @tw.primitive
    def softmax(x):
        e = np.exp(x - x.max())
        return e / e.sum()

    @softmax.local
    def _(out, x):
        assert out.copy().reshape(-1).sum().shape == ()
        return kinds.DiagMinusRank1(out, 0)

    c = np.array([1.0, -2.0, 0.5])
    x = np.array([0.1, 0.4, -0.3])

    def plain(x):
        return np.sum(c * np.exp(x) / np.sum(np.exp(x)))

    def own(x):
        return np.sum(c * softmax(x))

    np.testing.assert_allclose(tw.grad(own)(x), tw.grad(plain)(x), rtol=1e-12)
    np.testing.assert_allclose(
        tw.hvp(own, (x,), (c,)), tw.hvp(plain, (x,), (c,)), rtol=1e-11, atol=1e-15
    )


def test_a_chain_of_kinds():
    @tw.primitive
    def twice_sum(x):
        return 2 * x.sum()

    @twice_sum.local
    def _(out, x):
        return kinds.Chain(kinds.Scale(2.0), kinds.SumOver((0,), False), x.sum())

    np.testing.assert_array_equal(tw.grad(twice_sum)(np.ones(3)), [2.0, 2.0, 2.0])
    tw.check_primitive(twice_sum, np.ones(3))


def test_ufunc_and_call_form():
    own_sin = tw.primitive(np.sin, local=lambda out, x: kinds.Diagonal(np.cos(x)))
    assert tw.grad(own_sin)(0.0) == 1.0
    assert own_sin.name.endswith(".sin")  # NumPy 2.0's ufuncs do not know their module


def test_vmap_goes_example_by_example():
    x = np.array([0.1, 0.2, 0.3])
    np.testing.assert_allclose(tw.vmap(softplus)(x), softplus(x))
    np.testing.assert_allclose(tw.vmap(tw.grad(softplus))(x), logistic(x))
    w, b = np.arange(6.0).reshape(2, 3), np.ones(2)
    xs = np.arange(12.0).reshape(4, 3)
    np.testing.assert_allclose(
        tw.vmap(lambda x: affine(w, x, b))(xs), np.stack([w @ x + b for x in xs])
    )


def test_vmap_with_a_batching_rule():
    calls = []

    @tw.primitive(batch=lambda operands, batched, static: total(operands[0], axis=-1))
    def total(x, *, axis=None):
        calls.append(x.shape)
        return x.sum(axis=axis)

    @total.local
    def _(out, x, *, axis):
        return kinds.SumOver(tuple(range(x.ndim)) if axis is None else (x.ndim - 1,), False)

    np.testing.assert_array_equal(tw.vmap(total)(np.ones((5, 3))), [3.0] * 5)
    assert calls[-1] == (5, 3)


@pytest.mark.parametrize(
    ("local", "message"),
    [
        (lambda out, x: x, "ndarray, not a kind"),
        (lambda out, x: 2.0, "float, not a kind"),
        (lambda out, x: (x,), r"\(ndarray\), not a kind"),
        (lambda out, x: (kinds.Identity(),) * 2, "1 operands but 2 local Jacobians"),
        (lambda out, x: kinds.Diagonal(np.ones(5)), r"shape \(5,\), which does not broadcast"),
        (lambda out, x: kinds.Scale(np.ones(3)), r"its factor has shape \(3,\)"),
        (lambda out, x: kinds.SumOver((0,), False), r"the output has shape \(3,\), expected \(\)"),
        (lambda out, x: kinds.SumOver((3,), False), r"not all in range\(1\)"),
        (lambda out, x: kinds.MatMulLeft(np.ones((2, 3))), r"the product has shape \(2,\)"),
        (lambda out, x: kinds.MatMulLeft(np.ones((3, 2))), "is not defined"),
        (lambda out, x: kinds.BatchedDense(np.ones((3, 2)), 0), r"expected \(3, 3\)"),
        (lambda out, x: kinds.Transpose((1, 0)), "no permutation"),
        (lambda out, x: kinds.Take((slice(0, 2),), True), r"takes has shape \(2,\)"),
        (lambda out, x: kinds.Take((np.array([9]),), True), "out of bounds"),
        (lambda out, x: kinds.Take((np.array([0, 0, 1]),), True), "names an entry twice"),
        (lambda out, x: kinds.Put((np.array([0, 0, 1]),)), "names an entry twice"),
        (lambda out, x: kinds.DiagMinusRank1(x, 1), "axis 1"),
        (lambda out, x: kinds.Contract(("ij",), "i", 0, ()), "do not name the axes"),
        (lambda out, x: kinds.Custom(lambda t: t, lambda c: c[:2]), r"pull of operand 0 gave"),
        (
            lambda out, x: kinds.Chain(kinds.Identity(), kinds.SumOver((0,), False), x),
            "does not fit",
        ),
    ],
)
def test_a_wrong_local_is_an_error_that_names_the_primitive(local, message):
    @tw.primitive(local=local)
    def mine(x):
        return np.sin(x)

    with pytest.raises(tw.errors.UserError, match=message) as caught:
        tw.grad(lambda x: np.sum(mine(x)))(np.ones(3))
    assert "mine" in str(caught.value)


def test_without_a_rule():
    @tw.primitive
    def mine(x):
        return np.sin(x)

    assert mine(0.0) == 0.0
    with pytest.raises(tw.errors.NoRuleError, match=r"@mine\.local"):
        tw.grad(mine)(0.0)


def test_the_rule_that_is_missing_has_the_functions_own_parameters():
    @tw.primitive
    def hill(x, k, *, n=2):
        return x**n / (k**n + x**n)

    with pytest.raises(tw.errors.NoRuleError) as caught:
        tw.grad(hill)(1.0, 2.0)
    assert "def _(out, x, k, *, n):" in str(caught.value)
    assert "# ∂out/∂k" in str(caught.value)


def test_a_forgotten_return_is_told():
    """It ended in an AttributeError of ours."""

    @tw.primitive
    def mine(x):
        np.sin(x)

    for call in (mine, tw.grad(mine)):
        with pytest.raises(tw.errors.UserError, match="mine returned None: is a return missing"):
            call(1.0)


@pytest.mark.parametrize(
    ("value", "args", "error", "message"),
    [
        (lambda x: (x, x), (np.ones(2),), tw.errors.UserError, r"primitive\(outputs=2\)"),
        (lambda x: "text", (np.ones(2),), tw.errors.DtypeError, "not a numeric array"),
        (lambda x: x, ("text",), tw.errors.DtypeError, "keyword-only parameter"),
        (lambda x: x, (), TypeError, "missing"),
    ],
)
def test_wrong_values(value, args, error, message):
    with pytest.raises(error, match=message):
        tw.primitive(value)(*args)


def test_a_traced_array_from_outside_is_an_error():
    def f(x):
        leaking = tw.primitive(lambda y: y * x, local=lambda out, y: kinds.Identity())
        return leaking(2.0)

    with pytest.raises(tw.errors.TracingError, match="not among the operands"):
        tw.grad(f)(3.0)


def test_a_list_of_traced_arrays_is_an_error_that_says_what_to_do():
    with pytest.raises(tw.errors.TracingError, match=r"np\.stack"):
        tw.grad(lambda x: softplus([x, x])[0])(3.0)
    np.testing.assert_allclose(softplus([0.0, 1.0]), softplus(np.array([0.0, 1.0])))


def test_it_shows_in_a_trace():
    def f(x):
        y = softplus(x)
        return y * y

    shown = tw.trace(f, 0.0)
    assert shown["y"].gate == "softplus"
    assert shown["y"].inputs[0].local.kind in ("diagonal", "scale")
    assert "softplus" in str(shown)
    assert r"\operatorname{softplus}" in shown.to_latex()


def test_an_exception_in_the_value_keeps_its_place():
    @tw.primitive
    def mine(x):
        raise ZeroDivisionError("on purpose")

    with pytest.raises(ZeroDivisionError) as caught:
        tw.grad(mine)(1.0)
    assert any("mine" in note for note in caught.value.__notes__)


def test_a_new_definition_takes_the_name():
    def define(factor):
        @tw.primitive
        def again(x):
            return factor * x

        again.local(lambda out, x: kinds.Scale(factor))
        return again

    first, second = define(2.0), define(3.0)
    assert PRIMITIVES[second.name] is second.record
    assert tw.grad(first)(1.0) == 2.0
    assert tw.grad(second)(1.0) == 3.0


def test_threads():
    found = []

    def work(seed):
        x = np.random.default_rng(seed).standard_normal(50)
        for _ in range(20):
            mine = tw.primitive(np.sin, local=lambda out, x: kinds.Diagonal(np.cos(x)))
            found.append(np.array_equal(tw.vjp(mine, x)[1](np.ones(50))[0], np.cos(x)))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80
    assert all(found)


def add(path, text):
    path.write_text(path.read_text(encoding="utf-8") + "\n\n" + text, encoding="utf-8")


def test_a_function_that_writes_to_its_operand():
    @tw.primitive
    def shifted(x):
        x += 1.0
        return x

    shifted.local(lambda out, x: kinds.Identity())
    x = np.array([1.0, 2.0])
    with pytest.raises(ValueError, match="read-only"):
        tw.grad(lambda x: np.sum(x * x) + np.sum(shifted(x)))(x)
    np.testing.assert_array_equal(x, [1.0, 2.0])


def test_a_function_that_uses_its_buffer_again():
    buffer = np.zeros(2)

    @tw.primitive
    def doubled(x):
        return np.multiply(x, 2.0, out=buffer)

    doubled.local(lambda out, x: kinds.Scale(2.0))
    x = np.array([1.0, 2.0])
    found = tw.grad(lambda x: np.sum(doubled(x) * doubled(x * x)))(x)
    np.testing.assert_array_equal(found, 12.0 * x * x)


@pytest.mark.slow
def test_adding_a_builtin_touches_one_file(tmp_path):
    """The worked example of docs/primitives.md, done on a copy: one record and one row."""
    page = (ROOT / "docs" / "primitives.md").read_text(encoding="utf-8")
    record = page.split("<!-- record -->\n```python\n")[1].split("```")[0]
    row = page.split("<!-- row -->\n```python\n")[1].split("```")[0]
    shutil.copytree(ROOT / "src", tmp_path / "src")
    shutil.copytree(ROOT / "tests", tmp_path / "tests")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    imports = (
        "from thalweg.array import unwrap, wrap\nfrom thalweg.graph.primitive import PRIMITIVES\n"
    )
    add(tmp_path / "src/thalweg/ops/transcendental.py", record)
    add(tmp_path / "tests/cases/transcendental.py", imports + row)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/test_laws.py",
         "-k", "logcosh", "-m", ""],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path / 'src'}:{tmp_path}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(r"(\d+) passed", done.stdout)
    assert counted is not None
    assert int(counted[1]) >= 15  # three shapes under every law
