/** What the interpreter computes entry by entry: NumPy's functions of numbers. */

const LN2 = Math.LN2;
const sharp = (x, y) => Number.isNaN(x) || Number.isNaN(y);

/** To the nearest whole number, halves to the even one. */
function nearest(x) {
  const low = Math.floor(x);
  const rest = x - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

/** As C has it: x ** 0 and 1 ** y are 1, even of NaN; (−1) ** ±inf is 1. */
function power(x, y) {
  if (x === 1 || (x === -1 && !Number.isFinite(y) && !Number.isNaN(y))) return 1;
  return x ** y;
}

/** [x // y, x % y], as Python has them. */
function divided(x, y) {
  if (y === 0) return [x / y, NaN];
  let rest = x % y;
  let quotient = (x - rest) / y;
  if (rest !== 0 && rest < 0 !== y < 0) {
    rest += y;
    quotient -= 1;
  }
  const low = Math.floor(quotient);
  const whole = quotient - low > 0.5 ? low + 1 : low;
  return [whole === 0 ? Math.sign(x) * Math.sign(y) * 0 : whole, rest === 0 ? Math.sign(y) * 0 : rest];
}

function sigmoid(x) {
  const e = Math.exp(-Math.abs(x));
  return (x >= 0 ? 1 : e) / (1 + e);
}

function logAddExp(x, y) {
  if (x === y) return x + LN2;
  const far = Math.abs(x - y);
  return sharp(x, y) ? NaN : Math.max(x, y) + Math.log1p(Math.exp(-far));
}

/** Near 0 the series with positive terms, x e^(−x²) Σ (2x²)ⁿ / (2n + 1)!!. */
function erfNear(x) {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n += 1) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** Far from 0 erfc(x) = e^(−x²)/√π · 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + …)))), for x > 0. */
function erfcFar(x) {
  let tail = x;
  for (let n = 80; n > 0; n -= 1) tail = x + n / 2 / tail;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / tail;
}

function erf(x) {
  if (Math.abs(x) < 2.5) return erfNear(x);
  return Number.isNaN(x) ? NaN : Math.sign(x) * (1 - erfcFar(Math.abs(x)));
}

function erfc(x) {
  return x > 2 ? erfcFar(x) : 1 - erf(x);
}

export const SCALAR = {
  add: (x, y) => x + y,
  subtract: (x, y) => x - y,
  multiply: (x, y) => x * y,
  divide: (x, y) => x / y,
  negative: (x) => -x,
  power,
  float_power: power,
  square: (x) => x * x,
  reciprocal: (x) => 1 / x,
  sqrt: Math.sqrt,
  cbrt: Math.cbrt,
  absolute: Math.abs,
  fabs: Math.abs,
  maximum: (x, y) => Math.max(x, y),
  minimum: (x, y) => Math.min(x, y),
  fmax: (x, y) => (Number.isNaN(x) ? y : Number.isNaN(y) ? x : Math.max(x, y)),
  fmin: (x, y) => (Number.isNaN(x) ? y : Number.isNaN(y) ? x : Math.min(x, y)),
  clip: (x, low, high) => Math.min(Math.max(x, low), high),
  sign: (x) => (x === 0 ? 0 : Math.sign(x)),
  floor_divide: (x, y) => divided(x, y)[0],
  remainder: (x, y) => divided(x, y)[1],
  fmod: (x, y) => x % y,
  less: (x, y) => x < y,
  less_equal: (x, y) => x <= y,
  greater: (x, y) => x > y,
  greater_equal: (x, y) => x >= y,
  equal: (x, y) => x === y,
  not_equal: (x, y) => x !== y,
  logical_and: (x, y) => x !== 0 && y !== 0,
  logical_or: (x, y) => x !== 0 || y !== 0,
  logical_xor: (x, y) => (x !== 0) !== (y !== 0),
  logical_not: (x) => x === 0,
  isnan: Number.isNaN,
  isinf: (x) => x === Infinity || x === -Infinity,
  isfinite: Number.isFinite,
  signbit: (x) => x < 0 || Object.is(x, -0),
  floor: Math.floor,
  ceil: Math.ceil,
  trunc: Math.trunc,
  rint: nearest,
  where: (test, x, y) => (test !== 0 ? x : y),
  exp: Math.exp,
  exp2: (x) => 2 ** x,
  expm1: Math.expm1,
  log: Math.log,
  log2: Math.log2,
  log10: Math.log10,
  log1p: Math.log1p,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  arcsin: Math.asin,
  arccos: Math.acos,
  arctan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  arcsinh: Math.asinh,
  arccosh: Math.acosh,
  arctanh: Math.atanh,
  hypot: (x, y) => Math.hypot(x, y),
  arctan2: (y, x) => Math.atan2(y, x),
  logaddexp: logAddExp,
  logaddexp2: (x, y) => logAddExp(x * LN2, y * LN2) / LN2,
  sigmoid,
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  log_sigmoid: (x) => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x))),
  heaviside: (x, y) => (Number.isNaN(x) ? NaN : x === 0 ? y : Number(x > 0)),
  copysign: (x, y) => (y < 0 || Object.is(y, -0) ? -Math.abs(x) : Math.abs(x)),
  xlogy: (x, y) => (x === 0 && !Number.isNaN(y) ? 0 : x * Math.log(y)),
  xlog1py: (x, y) => (x === 0 && !Number.isNaN(y) ? 0 : x * Math.log1p(y)),
  erf,
  erfc,
  ndtr: (x) => erfc(-x * Math.SQRT1_2) / 2,
  entr: (x) => (x > 0 ? -x * Math.log(x) : x === 0 ? 0 : Number.isNaN(x) ? NaN : -Infinity),
  logit: (x) => (x > 0.3 && x < 0.65 ? Math.log1p((2 * x - 1) / (1 - x)) : Math.log(x / (1 - x))),
};

/** To so many digits behind the point. */
export function rounded(x, digits) {
  const unit = 10 ** Math.abs(digits);
  return digits < 0 ? nearest(x / unit) * unit : nearest(x * unit) / unit;
}
