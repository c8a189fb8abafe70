/** Sums written out: each entry of a gradient from the upstream entries that come down to it. */

import { entriesOf, general, indexOf, isNumber, shapeOf, sizeOf, toNumber } from "./format.js";
import { html } from "./math.js";
import { matrixOf, tripletsOf } from "./matrix.js";

/** Entries of a gradient that are written out, and terms of each. */
const ENTRIES = 12;
const TERMS_EACH = 24;

function indexText(at, shape) {
  return shape.length ? `[${indexOf(at, shape).join(",")}]` : "";
}

function signed(x) {
  const text = general(x, 4);
  return text.startsWith("-") ? `(−${text.slice(1)})` : text;
}

/** The terms of an edge for every entry of the operand: upstream · local. */
function termsOf(graph, edge, size) {
  const consumer = graph.nodes[edge.target];
  const found = matrixOf(edge.operand);
  const upstream = consumer.upstream === null ? null : entriesOf(consumer.upstream);
  if (!found || !upstream || upstream.some((x) => x !== null && typeof x === "object")) return null;
  const terms = Array.from({ length: size }, () => []);
  for (const [row, column, entry] of tripletsOf(found)) {
    const above = toNumber(upstream[row]);
    terms[column].push([row, entry === 1 ? signed(above) : `${signed(above)} · ${signed(entry)}`]);
  }
  return terms.map((list) => list.sort((a, b) => a[0] - b[0]).map(([, text]) => text));
}

/** Lines such as ∂L/∂b[0] = 0.1 + 0.2 + 0.3 = 0.6; none where one product says it all. */
export function writtenOut(graph, node) {
  const edges = node.consumers.filter((edge) => edge.operand.kind !== null);
  const size = sizeOf(node.value);
  const total = node.upstream === null ? null : entriesOf(node.upstream);
  const plain = edges.every((edge) => isNumber(graph.nodes[edge.target].value)) && isNumber(node.value);
  if (!total || plain || node.output || !edges.length || node.value?.parts) return [];
  const all = edges.map((edge) => termsOf(graph, edge, size));
  if (all.some((terms) => terms === null)) return [];
  const lines = [];
  const shape = shapeOf(node.value);
  for (let i = 0; i < Math.min(size, ENTRIES); i += 1) {
    const groups = all.map((terms) => terms[i]);
    if (groups.every((terms) => terms.length < 2) && edges.length < 2) return [];
    const shares = groups.map((terms) => {
      const shown = [...terms.slice(0, TERMS_EACH), ...(terms.length > TERMS_EACH ? ["⋯"] : [])].join(" + ") || "0";
      return edges.length > 1 && terms.length > 1 ? `(${shown})` : shown;
    });
    lines.push(html("p", { class: "sum number" }, `∂L/∂${node.named ? node.label.slice(0, 20) : "it"}${indexText(i, shape)} = ${shares.join(" + ")} = `,
      html("span", { class: "gradient" }, general(toNumber(total[i])))));
  }
  if (size > ENTRIES) lines.push(html("p", { class: "where" }, `and ${size - ENTRIES} entries more`));
  return [html("details", size <= 4 ? { open: "" } : {}, html("summary", {}, "the sums written out, entry by entry"), ...lines)];
}
