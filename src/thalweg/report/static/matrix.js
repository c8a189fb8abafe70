/** Matrices by their entries: local Jacobians, their products and sums. */

import { isNumber, toNumber } from "./format.js";

/** A matrix: its size and the triplets (row, column, entry), no position twice. */
export function matrix(rows, columns, triplets = []) {
  const places = new Map();
  for (const [row, column, entry] of triplets) {
    const key = row * columns + column;
    places.set(key, (places.get(key) ?? 0) + entry);
  }
  return { rows, columns, places };
}

export function tripletsOf({ columns, places }) {
  return [...places].map(([key, entry]) => [Math.floor(key / columns), key % columns, entry]);
}

/** The local Jacobian of an operand; null where the page does not have its entries. */
export function matrixOf(operand) {
  if (operand.matrix) {
    const [rows, columns, entries] = operand.matrix;
    return matrix(operand.size[0], operand.size[1],
      rows.map((row, i) => [row, columns[i], entries ? toNumber(entries[i]) : 1]));
  }
  if (operand.local === null || !isNumber(operand.local)) return null;
  const number = operand.local.data ? operand.local.data[0] : operand.local;
  return typeof number === "object" ? null : matrix(1, 1, [[0, 0, toNumber(number)]]);
}

export function identity(size) {
  return matrix(size, size, Array.from({ length: size }, (_, i) => [i, i, 1]));
}

export function sumOf(a, b) {
  return matrix(a.rows, a.columns, [...tripletsOf(a), ...tripletsOf(b)]);
}

/** a · b; null where it would take more than so many multiplications. */
export function product(a, b, most) {
  const byRow = new Map();
  for (const [row, column, entry] of tripletsOf(b)) {
    if (!byRow.has(row)) byRow.set(row, []);
    byRow.get(row).push([column, entry]);
  }
  const triplets = [];
  for (const [row, middle, entry] of tripletsOf(a)) {
    for (const [column, other] of byRow.get(middle) ?? []) triplets.push([row, column, entry * other]);
    if (triplets.length > most) return null;
  }
  return matrix(a.rows, b.columns, triplets);
}
