/** Runs a program (docs/explorer.md has the form) on other inputs, as NumPy would: in float64, by rows. */

import { toNumber } from "./format.js";
import { SCALAR, rounded } from "./scalar.js";

const KINDS = { float64: Float64Array, float32: Float32Array, bool: Uint8Array, int64: Float64Array, int32: Int32Array };

const count = (shape) => shape.reduce((product, length) => product * length, 1);

/** An array: its data are its entries in C order. */
function arrayOf(dtype, shape, data) {
  return { dtype, shape, data: data ?? new KINDS[dtype](count(shape)) };
}

function fromBytes(text, dtype) {
  const bytesOf = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new KINDS[dtype](bytesOf.buffer);
}

function constantOf([dtype, shape], given) {
  if (typeof given === "string") return arrayOf(dtype, shape, fromBytes(given, dtype));
  const made = arrayOf(dtype, shape);
  if (Array.isArray(given)) made.data.set(given.map((x) => Number(typeof x === "string" ? toNumber(x) : x)));
  else made.data.fill(Number(typeof given.all === "string" ? toNumber(given.all) : given.all));
  return made;
}

function stridesOf(shape) {
  const strides = new Array(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
    strides[axis] = step;
    step *= shape[axis];
  }
  return strides;
}

/** Where the entries of an array of this shape lie, whose axes have these distances. */
function placesOf(shape, first, steps) {
  const found = new Int32Array(count(shape));
  const at = new Array(shape.length).fill(0);
  let place = first;
  for (let i = 0; i < found.length; i += 1) {
    found[i] = place;
    for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
      place += steps[axis];
      at[axis] += 1;
      if (at[axis] < shape[axis]) break;
      place -= steps[axis] * shape[axis];
      at[axis] = 0;
    }
  }
  return found;
}

/** Where each entry of a broadcast array comes from. */
function stretched(from, to) {
  const own = stridesOf(from);
  const missing = to.length - from.length;
  return placesOf(to, 0, to.map((_, axis) =>
    (axis < missing || from[axis - missing] === 1 ? 0 : own[axis - missing])));
}

/** To which entry of the result each entry belongs, and how many share one. */
function groupsOf(shape, axes) {
  const kept = shape.map((length, axis) => (axes.includes(axis) ? 1 : length));
  const own = stridesOf(kept);
  const groups = placesOf(shape, 0, kept.map((_, axis) => (axes.includes(axis) ? 0 : own[axis])));
  return { groups, size: count(kept), shared: axes.reduce((n, axis) => n * shape[axis], 1) };
}

function entrywise(name, operands, out, memory) {
  const f = SCALAR[name];
  const { data } = out;
  const views = operands.map((x, i) => {
    if (x.data.length === data.length) return { from: x.data, at: null };
    if (x.data.length === 1) return { from: x.data, at: "one" };
    memory[i] ??= stretched(x.shape, out.shape);
    return { from: x.data, at: memory[i] };
  });
  const [a, b, c] = views.map(({ from, at }) => {
    if (at === null) return (i) => from[i];
    if (at === "one") return () => from[0];
    return (i) => from[at[i]];
  });
  for (let i = 0; i < data.length; i += 1) {
    const value = c ? f(a(i), b(i), c(i)) : b ? f(a(i), b(i)) : f(a(i));
    data[i] = out.dtype === "bool" ? Number(Boolean(value)) : value;
  }
}

/** Where the entries of a `move` or a writing come from or go to; −1 is nowhere. */
function movedFrom(more, constants, memory) {
  const [shape, first, steps] = more;
  memory.places ??= steps
    ? placesOf(shape, first, steps)
    : constants[first].data.map((place) => place - 1);
  return memory.places;
}

function moveEntries(operands, out, more, constants, memory) {
  const places = movedFrom(more, constants, memory);
  let { data } = operands[0];
  if (operands.length > 1) {
    data = new out.data.constructor(operands.reduce((n, x) => n + x.data.length, 0));
    let start = 0;
    for (const x of operands) {
      data.set(x.data, start);
      start += x.data.length;
    }
  }
  for (let i = 0; i < places.length; i += 1) out.data[i] = places[i] < 0 ? 0 : data[places[i]];
}

function writeEntries([x, value], out, more, constants, memory, put) {
  const places = movedFrom(more, constants, memory);
  memory.values ??= stretched(value.shape, more[0]);
  out.data.set(x.data);
  for (let i = 0; i < places.length; i += 1) put(out.data, places[i], value.data[memory.values[i]]);
}

function contract(operands, out, more) {
  const [sizes, kept, strides] = more;
  const data = operands.map((x) => x.data);
  const summed = sizes.slice(kept);
  const starts = strides.map((steps) => placesOf(sizes.slice(0, kept), 0, steps.slice(0, kept)));
  const insides = strides.map((steps) => placesOf(summed, 0, steps.slice(kept)));
  const terms = count(summed);
  for (let i = 0; i < out.data.length; i += 1) {
    let total = 0;
    for (let k = 0; k < terms; k += 1) {
      let product = data[0][starts[0][i] + insides[0][k]];
      for (let n = 1; n < data.length; n += 1) product *= data[n][starts[n][i] + insides[n][k]];
      total += product;
    }
    out.data[i] = total;
  }
}

/** Fold the entries that share a place of the result, from `start` on. */
function folded(x, found, start, fold) {
  const result = new Float64Array(found.size).fill(start);
  for (let i = 0; i < x.length; i += 1) result[found.groups[i]] = fold(result[found.groups[i]], x[i]);
  return result;
}

const plus = (sum, x) => sum + x;

/** x − max x along axes (0 at an infinite maximum), and the maxima. */
function shifted(x, found) {
  const top = folded(x, found, -Infinity, (most, y) => Math.max(most, y));
  return [Float64Array.from(x, (y, i) => (y === top[found.groups[i]] ? 0 : y - top[found.groups[i]])), top];
}

function best(x, found, better) {
  const places = new Float64Array(found.size);
  const held = new Float64Array(found.size);
  const seen = new Float64Array(found.size);
  for (let i = 0; i < x.length; i += 1) {
    const g = found.groups[i];
    const wins = !seen[g] || (!Number.isNaN(held[g]) && (Number.isNaN(x[i]) || better(x[i], held[g])));
    if (wins) [held[g], places[g]] = [x[i], seen[g]];
    seen[g] += 1;
  }
  return places;
}

function mean(x, found) {
  return folded(x, found, 0, plus).map((total) => total / found.shared);
}

function variance(x, found, freedom) {
  const middle = mean(x, found);
  const squares = Float64Array.from(x, (y, i) => (y - middle[found.groups[i]]) ** 2);
  return folded(squares, found, 0, plus).map((total) => total / Math.max(found.shared - freedom, 0));
}

function norm(x, found, given) {
  const order = toNumber(given);
  if (order === Infinity) return folded(x, found, 0, (most, y) => Math.max(most, Math.abs(y)));
  if (order === -Infinity) return folded(x, found, Infinity, (least, y) => Math.min(least, Math.abs(y)));
  if (order === 0) return folded(x, found, 0, (n, y) => n + Number(y !== 0));
  if (order === 2) return folded(x, found, 0, (sum, y) => sum + y * y).map(Math.sqrt);
  return folded(x, found, 0, (sum, y) => sum + Math.abs(y) ** order).map((sum) => sum ** (1 / order));
}

function softmax(x, found) {
  const exponentials = shifted(x, found)[0].map(Math.exp);
  const totals = folded(exponentials, found, 0, plus);
  return exponentials.map((e, i) => e / totals[found.groups[i]]);
}

function logTotals(x, found) {
  const [apart, top] = shifted(x, found);
  return [apart, top, folded(apart.map(Math.exp), found, 0, plus).map(Math.log)];
}

/** (entries, groups, parameter) → the result's entries. */
const REDUCTIONS = {
  sum: (x, found) => folded(x, found, 0, plus),
  prod: (x, found) => folded(x, found, 1, (product, y) => product * y),
  max: (x, found) => folded(x, found, -Infinity, (most, y) => Math.max(most, y)),
  min: (x, found) => folded(x, found, Infinity, (least, y) => Math.min(least, y)),
  all: (x, found) => folded(x, found, 1, (so, y) => Number(so !== 0 && y !== 0)),
  any: (x, found) => folded(x, found, 0, (so, y) => Number(so !== 0 || y !== 0)),
  count_nonzero: (x, found) => folded(x, found, 0, (n, y) => n + (y !== 0)),
  argmax: (x, found) => best(x, found, (y, held) => y > held),
  argmin: (x, found) => best(x, found, (y, held) => y < held),
  mean,
  var: variance,
  std: (x, found, freedom) => variance(x, found, freedom).map(Math.sqrt),
  norm,
  softmax,
  log_softmax: (x, found) => {
    const [apart, , logs] = logTotals(x, found);
    return apart.map((y, i) => y - logs[found.groups[i]]);
  },
  logsumexp: (x, found) => {
    const [, top, logs] = logTotals(x, found);
    return logs.map((y, i) => y + top[i]);
  },
};

/** Reductions that leave out what a mask does: with what stands there instead, and how an initial value enters. */
const MASKED = {
  masked_sum: ["sum", 0, SCALAR.add],
  masked_prod: ["prod", 1, SCALAR.multiply],
  masked_max: ["max", -Infinity, SCALAR.maximum],
  masked_min: ["min", Infinity, SCALAR.minimum],
};

function masked(name, [x, mask, initial], found, memory) {
  const [reduction, neutral, join] = MASKED[name];
  memory.mask ??= stretched(mask.shape, x.shape);
  const filled = Float64Array.from(x.data, (y, i) => (mask.data[memory.mask[i]] !== 0 ? y : neutral));
  const result = REDUCTIONS[reduction](filled, found);
  return initial ? result.map((y) => join(y, initial.data[0])) : result;
}

/** next(k): the entry at k from the one before it along the axis. */
function scanned(out, axis, next) {
  const step = stridesOf(out.shape)[axis];
  const length = out.shape[axis];
  for (let k = 0; k < out.data.length; k += 1) {
    const first = Math.floor(k / step) % length === 0;
    out.data[k] = next(k, first ? null : out.data[k - step]);
  }
}

const SCANS = {
  cumsum: ([x], out, axis) => scanned(out, axis, (k, before) => (before ?? 0) + x.data[k]),
  cumprod: ([x], out, axis) => scanned(out, axis, (k, before) => (before ?? 1) * x.data[k]),
  maximum_accumulate: ([x], out, axis) =>
    scanned(out, axis, (k, before) => Math.max(before ?? -Infinity, x.data[k])),
  minimum_accumulate: ([x], out, axis) =>
    scanned(out, axis, (k, before) => Math.min(before ?? Infinity, x.data[k])),
  linear_recurrence: ([a, b], out, axis) => {
    const [factors, terms] = [a, b].map((x) => stretched(x.shape, out.shape));
    scanned(out, axis, (k, before) => a.data[factors[k]] * (before ?? 0) + b.data[terms[k]]);
  },
};

/** Entries as the dtype holds them: integers without a fraction, and none that is not exact. */
function settle(out) {
  if (out.dtype !== "int64") return out;
  for (let i = 0; i < out.data.length; i += 1) {
    out.data[i] = Math.trunc(out.data[i]);
    if (!Number.isSafeInteger(out.data[i])) throw new RangeError("an integer is larger than 2⁵³");
  }
  return out;
}

export class Interpreter {
  constructor(program) {
    const { types } = program;
    this.program = program;
    this.constants = program.constants.map(([type, data]) => constantOf(types[type], data));
    this.memories = program.steps.map(() => ({}));
    /** The inputs as the trace had them. */
    this.starts = program.starts.map((place) => this.constants[place]);
  }

  /** The arrays of all slots, for these inputs. */
  run(inputs) {
    const first = inputs.length;
    const { steps } = this.program;
    const slots = [...inputs, ...steps.map(() => null), ...this.constants];
    steps.forEach((step, i) => {
      slots[first + i] = this.step(step, slots, this.memories[i]);
    });
    return slots;
  }

  step([name, given, type, ...more], slots, memory) {
    const operands = given.map((slot) => slots[slot]);
    const out = arrayOf(...this.program.types[type]);
    if (name in SCALAR) entrywise(name, operands, out, memory);
    else if (name in REDUCTIONS) {
      memory.found ??= groupsOf(operands[0].shape, more[0]);
      out.data.set(REDUCTIONS[name](operands[0].data, memory.found, more[1]));
    } else if (name in MASKED) {
      memory.found ??= groupsOf(operands[0].shape, more[0]);
      out.data.set(masked(name, operands, memory.found, memory));
    } else if (name in SCANS) SCANS[name](operands, out, more[0]);
    else if (name === "move") moveEntries(operands, out, more, this.constants, memory);
    else if (name === "contract") contract(operands, out, more);
    else if (name === "cast") {
      out.data.set(out.dtype === "bool" ? operands[0].data.map((x) => Number(x !== 0)) : operands[0].data);
    } else if (name === "round") out.data.set(operands[0].data.map((x) => rounded(x, more[0])));
    else if (name === "setitem") {
      writeEntries(operands, out, more, this.constants, memory, (data, place, x) => { data[place] = x; });
    } else if (name === "add_at") {
      writeEntries(operands, out, more, this.constants, memory, (data, place, x) => { data[place] += x; });
    } else throw new RangeError(`unknown step ${name}`);
    return settle(out);
  }

  /** The first of Python's questions that these values would answer in another way; or null. */
  otherBranch(slots) {
    for (const [slot, answer, where] of this.program.guards) {
      const [asked, then] = [slots[slot], this.constants[answer]];
      const truth = then.dtype === "bool" ? (x) => Number(x !== 0) : (x) => x;
      const same = asked.data.every((x, i) =>
        truth(x) === then.data[i] || (Number.isNaN(x) && Number.isNaN(then.data[i])));
      if (!same) return { where, then: then.data[0], now: truth(asked.data[0]), dtype: then.dtype };
    }
    return null;
  }
}
