"""Arguments of sine, cosine and tangent: x = n·π/2 + r with |r| ≤ π/4, for every finite x.

Up to a limit π/2 in three parts is enough; beyond, x is multiplied by those digits of 2/π that
count (Payne and Hanek). The test for it needs a branch, so the reduction is a function of its own.
"""

from __future__ import annotations

import math

from thalweg.execute.native.coefficients import HALF_PI, TWO_OVER_PI
from thalweg.execute.native.emit import TYPES, Emit, Module, V, constant
from thalweg.execute.native.math_parts import FORMATS, negative_fma, product, sum_of

__all__ = ["reduced"]

_LIMIT = {"f32": 2.0**17, "f64": 2.0**30}
_ATTRIBUTES = 'nounwind "prefer-vector-width"="512"'

#: (r, tail of r, n) of one finite double of size 1 or more, x = ±m·2^E with a whole m < 2^53.
#: The product of m with 192 digits of 2/π·2^E, those below the value 4, has n mod 4 in its two
#: highest bits and the fraction in the others; truncation is felt in the 137th digit.
_LARGE = """define internal {{ double, double, i64 }} @trig_large(double %x) {attributes} {{
  %bits = bitcast double %x to i64
  %negative = icmp slt i64 %bits, 0
  %shifted = lshr i64 %bits, 52
  %exponent = and i64 %shifted, 2047
  %stored = and i64 %bits, 4503599627370495
  %m = or i64 %stored, 4503599627370496
  %skip = sub i64 {skip}, %exponent
  %word = lshr i64 %skip, 6
  %place = getelementptr i64, ptr {table}, i64 %word
  %window = load i256, ptr %place, align 8
  %bit = and i64 %skip, 63
  %wide_bit = zext i64 %bit to i256
  %digits = lshr i256 %window, %wide_bit
  %wide_m = zext i64 %m to i256
  %whole = mul i256 %digits, %wide_m
  %turn = shl i256 %whole, 64
  %eighths = lshr i256 %turn, 253
  %eighth = trunc i256 %eighths to i64
  %rounded = add i64 %eighth, 1
  %quadrant = lshr i64 %rounded, 1
  %fraction = shl i256 %turn, 2
  %below = icmp slt i256 %fraction, 0
  %opposite = sub i256 0, %fraction
  %size = select i1 %below, i256 %opposite, i256 %fraction
  %zeros = call i256 @llvm.ctlz.i256(i256 %size, i1 false)
  %normal = shl i256 %size, %zeros
  %high_digits = lshr i256 %normal, 203
  %high_whole = trunc i256 %high_digits to i64
  %high = uitofp i64 %high_whole to double
  %low_digits = lshr i256 %normal, 150
  %low_more = trunc i256 %low_digits to i64
  %low_whole = and i64 %low_more, 9007199254740991
  %low = uitofp i64 %low_whole to double
  %zeros_short = trunc i256 %zeros to i64
  %power = sub i64 970, %zeros_short
  %power_bits = shl i64 %power, 52
  %scale = bitcast i64 %power_bits to double
  %minus = fneg double %scale
  %back = xor i1 %below, %negative
  %signed = select i1 %back, double %minus, double %scale
  %h = fmul double %high, %signed
  %low_scaled = fmul double %low, {down}
  %l = fmul double %low_scaled, %signed
  %product = fmul double %h, {half_pi}
  %product_back = fneg double %product
  %error = call double @llvm.fma.f64(double %h, double {half_pi}, double %product_back)
  %more = call double @llvm.fma.f64(double %h, double {half_pi_tail}, double %error)
  %rest = call double @llvm.fma.f64(double %l, double {half_pi}, double %more)
  %r = fadd double %product, %rest
  %moved = fsub double %r, %product
  %tail = fsub double %rest, %moved
  %n_back = sub i64 0, %quadrant
  %n = select i1 %negative, i64 %n_back, i64 %quadrant
  %result0 = insertvalue {{ double, double, i64 }} poison, double %r, 0
  %result1 = insertvalue {{ double, double, i64 }} %result0, double %tail, 1
  %result2 = insertvalue {{ double, double, i64 }} %result1, i64 %n, 2
  ret {{ double, double, i64 }} %result2
}}"""


def _define_large(module: Module) -> None:
    if "trig_large" in module.definitions:
        return
    module.declare("declare i256 @llvm.ctlz.i256(i256, i1)")
    module.declare("declare double @llvm.fma.f64(double, double, double)")
    half_pi = HALF_PI["f64"]
    module.define(
        "trig_large",
        _LARGE.format(
            attributes=_ATTRIBUTES,
            # 2/π = table · 2^−skip₀; digits from 2^−190 on are wanted of 2/π · 2^(exponent − 1075).
            skip=64 * len(TWO_OVER_PI) - 190 + 1075,
            table=module.table([*TWO_OVER_PI, 0, 0, 0], "i64"),
            down=constant(2.0**-53, "f64"),
            half_pi=constant(half_pi[0], "f64"),
            half_pi_tail=constant(half_pi[1], "f64"),
        ),
    )


def _near(e: Emit, x: V) -> tuple[V, V, V]:
    """(r, tail of r, n) of |x| up to the limit."""
    form = FORMATS[x.kind]
    shifter = e.like(form.shifter, x)
    shifted = e.fma(x, e.like(2.0 / math.pi, x), shifter)
    n = e.sub(shifted, shifter)
    first, second, third = (e.like(part, x) for part in HALF_PI[x.kind])
    # Exact: a multiple of the first part's last digit, and below 1.
    r = negative_fma(e, n, first, x)
    if x.kind == "f32":
        r = negative_fma(e, n, third, negative_fma(e, n, second, r))
        return r, e.like(0.0, x), e.bits(shifted)
    more = product(e, n, second)
    total = sum_of(e, r, e.neg(more.value))
    tail = negative_fma(e, n, third, e.sub(total.tail, more.tail))
    return total.value, tail, e.bits(shifted)


#: One lane: where x is beyond the limit and finite, r, tail and n are written anew.
_LANE = """define internal void @trig_lane_{kind}(ptr %px, ptr %pr, ptr %pt, ptr %pn)
  {attributes} {{
  %given = load {number}, ptr %px
  %x = {widen} {number} %given to double
  %size = call double @llvm.fabs.f64(double %x)
  %large = fcmp ogt double %size, {limit}
  %finite = fcmp olt double %size, 0x7FF0000000000000
  %far = and i1 %large, %finite
  br i1 %far, label %write, label %done
write:
  %all = call {{ double, double, i64 }} @trig_large(double %x)
  %r = extractvalue {{ double, double, i64 }} %all, 0
  %t = extractvalue {{ double, double, i64 }} %all, 1
  %n = extractvalue {{ double, double, i64 }} %all, 2
  %short_r = {narrow} double %r to {number}
  %short_t = {narrow} double %t to {number}
  %short_n = {narrow_whole} i64 %n to {whole}
  store {number} %short_r, ptr %pr
  store {number} %short_t, ptr %pt
  store {whole} %short_n, ptr %pn
  br label %done
done:
  ret void
}}"""

#: All lanes: near ones at once, the others one by one through memory.
_ALL = """define internal {result} @{name}({number} %x) {attributes} {{
entry:
  %px = alloca {number}, align 64
  %pr = alloca {number}, align 64
  %pt = alloca {number}, align 64
  %pn = alloca {whole}, align 64
{near}
  br i1 %any, label %slow, label %done
slow:
  store {number} %x, ptr %px
  store {number} {r}, ptr %pr
  store {number} {tail}, ptr %pt
  store {whole} {n}, ptr %pn
  br label %loop
loop:
  %lane = phi i64 [ 0, %slow ], [ %next, %loop ]
  %lx = getelementptr {item}, ptr %px, i64 %lane
  %lr = getelementptr {item}, ptr %pr, i64 %lane
  %lt = getelementptr {item}, ptr %pt, i64 %lane
  %ln = getelementptr {item}, ptr %pn, i64 %lane
  call void @trig_lane_{kind}(ptr %lx, ptr %lr, ptr %lt, ptr %ln)
  %next = add i64 %lane, 1
  %more = icmp ult i64 %next, {lanes}
  br i1 %more, label %loop, label %reload
reload:
  %far_r = load {number}, ptr %pr
  %far_t = load {number}, ptr %pt
  %far_n = load {whole}, ptr %pn
  br label %done
done:
  %r = phi {number} [ {r}, %entry ], [ %far_r, %reload ]
  %t = phi {number} [ {tail}, %entry ], [ %far_t, %reload ]
  %n = phi {whole} [ {n}, %entry ], [ %far_n, %reload ]
  %result0 = insertvalue {result} poison, {number} %r, 0
  %result1 = insertvalue {result} %result0, {number} %t, 1
  %result2 = insertvalue {result} %result1, {whole} %n, 2
  ret {result} %result2
}}"""


def _define_lane(module: Module, kind: str) -> None:
    _define_large(module)
    module.declare("declare double @llvm.fabs.f64(double)")
    single = kind == "f32"
    module.define(
        f"trig_lane_{kind}",
        _LANE.format(
            kind=kind,
            attributes=_ATTRIBUTES,
            number=TYPES[kind],
            whole=FORMATS[kind].integer,
            limit=constant(_LIMIT[kind], "f64"),
            widen="fpext" if single else "bitcast",
            narrow="fptrunc" if single else "bitcast",
            narrow_whole="trunc" if single else "bitcast",
        ),
    )


def _define_all(e: Emit, kind: str, name: str, result: str) -> None:
    """The function x → (r, tail of r, n) on as many lanes as `e` has."""
    module, lanes = e.module, e.lanes
    _define_lane(module, kind)
    b = Emit(module, lanes)
    x = V("%x", kind)
    r, tail, n = _near(b, x)
    size = b.abs(x)
    # NaN and infinities stay: what comes of them is NaN.
    far = b.both(
        b.compare("ogt", size, b.like(_LIMIT[kind], x)),
        b.compare("olt", size, b.like(math.inf, x)),
    )
    if lanes == 1:
        b.raw(f"  %any = and i1 {far.text}, true")
    else:
        module.declare(f"declare i1 @llvm.vector.reduce.or.v{lanes}i1(<{lanes} x i1>)")
        b.raw(f"  %any = call i1 @llvm.vector.reduce.or.v{lanes}i1(<{lanes} x i1> {far.text})")
    module.define(
        name,
        _ALL.format(
            name=name,
            kind=kind,
            attributes=_ATTRIBUTES,
            result=result,
            number=e.type(kind),
            whole=e.type(FORMATS[kind].integer),
            item=TYPES[kind],
            lanes=lanes,
            near="\n".join(b.lines),
            r=r.text,
            tail=tail.text,
            n=n.text,
        ),
    )


def reduced(e: Emit, x: V) -> tuple[V, V, V]:
    """(r, tail of r, n); of n only the two lowest bits count. NaN for infinities."""
    kind, integer = x.kind, FORMATS[x.kind].integer
    name = f"trig_reduce_{kind}_{e.lanes}"
    result = f"{{ {e.type(kind)}, {e.type(kind)}, {e.type(integer)} }}"
    if name not in e.module.definitions:
        _define_all(e, kind, name, result)
    every = e.line(f"call {result} @{name}({e.type(kind)} {x.text})", kind)
    return (
        e.line(f"extractvalue {result} {every.text}, 0", kind),
        e.line(f"extractvalue {result} {every.text}, 1", kind),
        e.line(f"extractvalue {result} {every.text}, 2", integer),
    )
