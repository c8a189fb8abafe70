/** The panel's part about a local Jacobian: badge, size, where its non-zeros are, its entries. */

import { bytes, entriesOf, general, isArray, shapeText, sizeOf } from "./format.js";
import { heading } from "./groups.js";
import { matrixOf, tripletsOf } from "./matrix.js";
import { html } from "./math.js";
import { heatColour, picture } from "./pictures.js";

/** Entries of a matrix that is shown as a table. */
const TABLE = 1024;
/** Rows and columns of a picture in which every entry is a cell. */
const CELL_LIMIT = 64;

function bitmap(rows, columns, label, colourAt) {
  const canvas = html("canvas", { class: "spy", width: columns, height: rows, role: "img", "aria-label": label });
  const pen = canvas.getContext("2d");
  const image = pen.createImageData(columns, rows);
  for (let i = 0; i < rows * columns; i += 1) image.data.set(colourAt(i), 4 * i);
  pen.putImageData(image, 0, 0);
  const scale = Math.max(Math.min(220 / Math.max(rows, columns), 22), 1);
  canvas.style.width = `${Math.max(columns * scale, 12)}px`;
  canvas.style.height = `${Math.max(rows * scale, 12)}px`;
  return canvas;
}

/** Every entry a cell: blue below zero, orange above, clear where it is zero by structure. */
function exactSpy(found) {
  const { rows, columns, places } = found;
  const most = Math.max(...[...places.values()].map(Math.abs).filter(Number.isFinite), 1e-300);
  return bitmap(rows, columns, `${places.size} entries of ${rows} × ${columns}, up to ±${general(most, 3)}`, (i) => {
    if (!places.has(i)) return [0, 0, 0, 0];
    const entry = places.get(i);
    return Number.isFinite(entry) ? [...heatColour((Math.sign(entry) * (0.25 + 0.75 * Math.abs(entry) / most)) || 0), 255]
      : [200, 0, 200, 255];
  });
}

/** A picture in fewer cells than entries: the darker, the more of a cell is not zero. */
function coarseSpy({ rows, cells }) {
  const columns = cells.length / rows;
  return bitmap(rows, columns, "where the entries are that can be other than zero", (i) => {
    const digit = parseInt(cells[i], 16);
    return digit ? [...heatColour(0.25 + (0.75 * digit) / 15), 255] : [0, 0, 0, 0];
  });
}

export function spyPlot(found, spy = null) {
  if (found && found.rows <= CELL_LIMIT && found.columns <= CELL_LIMIT) return exactSpy(found);
  return spy ? coarseSpy(spy) : found ? coarseSpy(coarse(found)) : null;
}

/** The same picture as the page's data has of a larger one. */
function coarse(found) {
  const rows = Math.min(found.rows, 32);
  const columns = Math.min(found.columns, 32);
  const counts = new Array(rows * columns).fill(0);
  for (const [row, column] of tripletsOf(found)) {
    counts[Math.floor((row * rows) / found.rows) * columns + Math.floor((column * columns) / found.columns)] += 1;
  }
  const full = (found.rows * found.columns) / (rows * columns);
  const digit = (count) => (count ? Math.min(Math.max(Math.ceil((15 * count) / full), 1), 15) : 0);
  return { rows, cells: counts.map((count) => digit(count).toString(16)).join("") };
}

/** The matrix with its zeros; only on request, and only where that is little. */
export function denseTable({ rows, columns, places }) {
  const table = html("table", { class: "entries dense" });
  for (let row = 0; row < rows; row += 1) {
    table.append(html("tr", {}, ...Array.from({ length: columns }, (_, column) => {
      const entry = places.get(row * columns + column);
      return html("td", entry === undefined ? { class: "muted" } : {}, entry === undefined ? "0" : general(entry));
    })));
  }
  return html("div", { class: "scroll local" }, table);
}

export function showDense(found, rows, columns) {
  const size = `${rows.toLocaleString("en")} × ${columns.toLocaleString("en")}`;
  if (!found || rows * columns > TABLE) {
    const why = rows * columns > TABLE
      ? `${bytes(rows * columns * 8)}; up to ${TABLE.toLocaleString("en")} entries are shown` : "the page does not have its entries";
    return html("p", { class: "where" }, html("button", { disabled: "", class: "show" }, "show dense"), ` ${size}: ${why}`);
  }
  const box = html("details", {}, html("summary", {}, `show dense, ${size}`));
  box.addEventListener("toggle", () => {
    if (box.children.length === 1) box.append(denseTable(found));
  });
  return box;
}

/** Its kind, its size, what it takes beside a dense matrix, its pattern, its numbers. */
export function localParts(graph, node, operand) {
  const [rows, columns, nonzeros, held] = operand.size;
  if (rows * columns === 1) return [];
  const dense = rows * columns * 8;
  const count = nonzeros === null ? "" : `, ${nonzeros.toLocaleString("en")} non-zero`;
  const saved = dense > held ? `, ${general(100 * (1 - held / dense), 3)} % saved` : "";
  const found = matrixOf(operand);
  const plot = spyPlot(found, operand.spy);
  const parts = [heading(`Local Jacobian ∂(${node.label.slice(0, 24)})/∂(${graph.nodes[operand.node].label.slice(0, 24)})`),
    html("p", {}, html("span", { class: "badge" }, operand.kind), ` ${rows.toLocaleString("en")} × ${columns.toLocaleString("en")}${count}`),
    html("p", { class: "where" }, `held in ${bytes(held)}; dense it would take ${bytes(dense)}${saved}`)];
  parts.push(plot ?? html("p", { class: "where" }, graph.frames.length
    ? "a page of several runs does not have where they are" : "too many entries for a picture of where they are"));
  if (operand.entries !== null && (sizeOf(operand.entries) > 1 || entriesOf(operand.entries))) {
    parts.push(html("p", { class: "where" }, `its numbers${isArray(operand.entries) && operand.entries.shape.length ? ` ${shapeText(operand.entries.shape)}` : ""}:`),
      picture(operand.entries, "local"));
  }
  return [...parts, showDense(found, rows, columns)];
}
