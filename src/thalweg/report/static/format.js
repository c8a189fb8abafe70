/** Numbers and arrays as text, with the digits that the terminal's table has. */

/** The number that stands for a JSON value: NaN and infinities are strings there. */
export function toNumber(value) {
  if (typeof value === "number") return value;
  return { nan: NaN, inf: Infinity, "-inf": -Infinity }[value] ?? NaN;
}

/** A number as C's %g writes it. */
export function general(x, digits = 6) {
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
  if (x === 0) return Object.is(x, -0) ? "-0" : "0";
  const [mantissa, exponent] = x.toExponential(digits - 1).split("e");
  const power = Number(exponent);
  const short = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  if (power >= -4 && power < digits) return short(x.toFixed(digits - 1 - power));
  return `${short(mantissa)}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

/** One entry: a number, a truth value, a complex number. */
export function entry(value, digits = 6) {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (value !== null && typeof value === "object") {
    const imaginary = general(toNumber(value.im), digits);
    return `${general(toNumber(value.re), digits)}${imaginary.startsWith("-") ? "" : "+"}${imaginary}j`;
  }
  return Number.isInteger(value) && Math.abs(value) > 1e6 && digits > 6
    ? String(value)
    : general(toNumber(value), digits);
}

export function isArray(value) {
  return value !== null && typeof value === "object" && "shape" in value;
}

/** Whether it is one number (of any type). */
export function isNumber(value) {
  return typeof value === "number" || typeof value === "string" ||
    (isArray(value) && value.shape.length === 0);
}

export function shapeOf(value) {
  return isArray(value) ? value.shape : [];
}

export function sizeOf(value) {
  return shapeOf(value).reduce((product, length) => product * length, 1);
}

/** The index of an entry, axis by axis. */
export function indexOf(at, shape) {
  const index = [];
  let rest = at;
  for (const length of [...shape].reverse()) {
    index.unshift(rest % length);
    rest = Math.floor(rest / length);
  }
  return index;
}

/** The entries of a value in C order; null where the page has only a summary. */
export function entriesOf(value) {
  if (typeof value === "number" || typeof value === "string") return [value];
  return isArray(value) ? value.data ?? null : null;
}

export function range(value, digits) {
  const [low, , high, nan, inf] = isArray(value) && value.summary ? value.summary : summary(value);
  let text = low === null ? "" : `${general(low, digits)} … ${general(high, digits)}`;
  if (nan) text += ` ${nan} nan`;
  if (inf) text += ` ${inf} inf`;
  return text.trim() || "empty";
}

/** An entry as one number; a complex one's modulus. */
function magnitude(x) {
  if (typeof x === "object") return Math.hypot(toNumber(x.re), toNumber(x.im));
  return typeof x === "boolean" ? Number(x) : toNumber(x);
}

/** The entries as real numbers, where the page has them. */
export function magnitudes(value) {
  return (entriesOf(value) ?? []).map(magnitude);
}

/** [least, mean, greatest, NaNs, infinities] of an array that is there as a whole. */
function summary(value) {
  const numbers = magnitudes(value);
  const finite = numbers.filter(Number.isFinite);
  const nan = numbers.filter(Number.isNaN).length;
  const inf = numbers.length - finite.length - nan;
  if (!finite.length) return [null, null, null, nan, inf];
  const low = finite.reduce((a, b) => Math.min(a, b));
  const high = finite.reduce((a, b) => Math.max(a, b));
  return [low, finite.reduce((a, b) => a + b) / finite.length, high, nan, inf];
}

/** A value in a few characters: its numbers up to three, its range else. */
export function brief(value, digits = 3) {
  if (value === null || value === undefined) return "";
  if (typeof value === "object" && "text" in value) return value.text;
  if (typeof value === "object" && "parts" in value) return `${value.parts.length} results`;
  const entries = entriesOf(value);
  if (entries && shapeOf(value).length === 0) return entry(entries[0]);
  if (entries && entries.length <= 3) return `[${entries.map((x) => entry(x, 5)).join(", ")}]`;
  return range(value, digits);
}

/** `brief` with as many digits as so many columns hold: cards were made for other numbers. */
export function briefIn(value, columns, digits = 3) {
  const entries = entriesOf(value);
  const number = entries && shapeOf(value).length === 0;
  let text = brief(value, digits);
  for (let fewer = number ? 5 : digits - 1; fewer > 0 && text.length > columns; fewer -= 1) {
    if (number) text = entry(entries[0], fewer);
    else if (entries && entries.length <= 3 && isArray(value)) text = `[${entries.map((x) => entry(x, fewer)).join(", ")}]`;
    else if (isArray(value)) text = range(value, fewer);
    else break;
  }
  return text;
}

function isWide(code) {
  return code >= 0x1100 && (code <= 0x115f || (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) || (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) || (code >= 0xff00 && code <= 0xff60) || code >= 0x1f300);
}

/** `text` in at most so many columns, … where something was left out. */
export function cut(text, columns) {
  let used = 0;
  let kept = "";
  for (const character of text) {
    used += isWide(character.codePointAt(0)) ? 2 : 1;
    if (used > columns) {
      return `${[...kept].slice(0, -1).join("")}…`;
    }
    kept += character;
  }
  return kept;
}

/**
 * The name of a node in at most so many columns. Of an input that is long the end, where the leaves
 * of a tree differ, with ['name'] as .name.
 */
export function nameIn(node, columns) {
  const whole = [...node.label];
  if (!node.input || whole.length <= columns || whole.some((c) => isWide(c.codePointAt(0)))) {
    return cut(node.label, columns);
  }
  const short = [...node.label.replace(/\['([^']+)'\]/g, ".$1")];
  return short.length <= columns ? short.join("") : `…${short.slice(1 - columns).join("")}`;
}

/** Whether there is a NaN or an infinity in it. */
export function isFaulty(value) {
  if (value === null || value === undefined) return false;
  if (typeof value === "object" && "parts" in value) return value.parts.some(isFaulty);
  if (isArray(value) && value.summary) return value.summary[3] + value.summary[4] > 0;
  const faulty = (x) => (x !== null && typeof x === "object"
    ? faulty(x.re) || faulty(x.im) : typeof x === "string");
  return (entriesOf(value) ?? []).some(faulty);
}

export function shapeText(shape) {
  return shape.length ? `[${shape.join("×")}]` : "";
}

export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
  let size = count;
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 || size >= 99.5 ? size.toFixed(0) : general(size, 2)} ${units[unit]}`;
}
