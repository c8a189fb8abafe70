/** Arrays of the interpreter in the form that the page's data has: page_values.py makes the same. */

const CELLS = 24;
const BINS = 24;
const HUGE = 1e307;

/** As the data have it: NaN and infinities are strings. */
export function plainNumber(x) {
  if (Number.isFinite(x)) return x;
  return Number.isNaN(x) ? "nan" : x > 0 ? "inf" : "-inf";
}

/** In the detail of what stood there before. */
export function pack({ dtype, shape, data }, before) {
  if (dtype === "float64" && shape.length === 0) return plainNumber(data[0]);
  if (!before?.summary) {
    const entry = dtype === "bool" ? (x) => x !== 0 : plainNumber;
    return { dtype, shape, data: Array.from(data, entry) };
  }
  const packed = { dtype, shape, summary: summaryOf(data) };
  if (before.heat) Object.assign(packed, { histogram: histogramOf(data), heat: heatOf(data, shape) });
  return packed;
}

function summaryOf(data) {
  let [low, high, total, finite, nan] = [Infinity, -Infinity, 0, 0, 0];
  for (const x of data) {
    if (Number.isFinite(x)) {
      low = Math.min(low, x);
      high = Math.max(high, x);
      total += x;
      finite += 1;
    } else if (Number.isNaN(x)) nan += 1;
  }
  const inf = data.length - finite - nan;
  return finite ? [low, plainNumber(total / finite), high, nan, inf] : [null, null, null, nan, inf];
}

function histogramOf(data) {
  let values = Float64Array.from(data).filter(Number.isFinite);
  if (!values.length) return [];
  if (values.some((x) => Math.abs(x) > HUGE)) values = values.map((x) => x / 4);
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  if (low === high) return [values.length];
  const counts = new Array(BINS).fill(0);
  for (const x of values) counts[Math.min(Math.trunc(((x - low) / (high - low)) * BINS), BINS - 1)] += 1;
  return counts;
}

/** Means over at most so many parts of one axis of a matrix. */
function coarser({ rows, columns, cells }, alongRows) {
  const length = alongRows ? rows : columns;
  const parts = Math.min(length, CELLS);
  const size = alongRows ? { rows: parts, columns } : { rows, columns: parts };
  const sums = new Float64Array(size.rows * size.columns);
  const starts = Array.from({ length: parts + 1 }, (_, i) => Math.floor((i * length) / parts));
  for (let part = 0; part < parts; part += 1) {
    for (let k = starts[part]; k < starts[part + 1]; k += 1) {
      for (let other = 0; other < (alongRows ? columns : rows); other += 1) {
        const [to, from] = alongRows ? [part * columns + other, k * columns + other]
          : [other * parts + part, other * columns + k];
        sums[to] += cells[from] / (starts[part + 1] - starts[part]);
      }
    }
  }
  return { ...size, cells: sums };
}

function heatOf(data, shape) {
  const columns = shape.at(-1) ?? 1;
  const finite = Array.from(data).filter(Number.isFinite);
  const max = finite.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const scaled = Float64Array.from(data, (x) =>
    (max ? Math.min(Math.max(x / max, -1), 1) : Number.isFinite(x) ? 0 : NaN));
  const matrix = { rows: data.length / columns, columns, cells: scaled };
  const small = coarser(coarser(matrix, true), false);
  const bytesOf = Array.from(small.cells, (x) => (Number.isNaN(x) ? 0 : Math.round(128 + 127 * x)));
  const cells = bytesOf.map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { rows: small.rows, max, cells };
}
