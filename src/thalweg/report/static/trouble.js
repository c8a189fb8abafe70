/** Trouble: what the trace found at a node, gradients that vanish or explode, the heat scale. */

import { general, isArray, magnitudes } from "./format.js";
import { heading, nodeLink } from "./groups.js";
import { html } from "./math.js";
import { heatColour } from "./pictures.js";

/** Decades below and above 1 at which a gradient is said to vanish or to explode. */
const VANISHING = -8;
const EXPLODING = 6;
/** Relative error of a local Jacobian from which it is marked. */
const WRONG = 1e-5;
const LISTED_TROUBLE = 30;

const MARKS = { saturated: "≈", dead: "∅", kink: "∠", vanishing: "↓", exploding: "↑", wrong: "✗" };

/** The greatest |gradient| of a node; null where there is none. */
export function gradientSize(node) {
  if (node.upstream === null || (typeof node.upstream === "object" && "parts" in node.upstream)) return null;
  if (isArray(node.upstream) && node.upstream.summary) {
    const [low, , high] = node.upstream.summary;
    return low === null ? null : Math.max(Math.abs(low), Math.abs(high));
  }
  const sizes = magnitudes(node.upstream).map(Math.abs).filter(Number.isFinite);
  return sizes.length ? sizes.reduce((a, b) => Math.max(a, b)) : null;
}

/** Its decade: log10 |gradient|, −Infinity for zero. */
function decade(node) {
  const size = gradientSize(node);
  return size === null ? null : Math.log10(size);
}

/** Everything at a node as { kind, text }; what the trace found holds for its own numbers only. */
export function ailments(node) {
  const found = node.before ? [] : node.symptoms.map(([kind, text]) => ({ kind, text }));
  const at = decade(node);
  if (at !== null && Number.isFinite(at) && at <= VANISHING) {
    found.push({ kind: "vanishing", text: `vanishing gradient: at most ${general(10 ** at, 3)}` });
  }
  if (at !== null && at >= EXPLODING) {
    found.push({ kind: "exploding", text: `exploding gradient: up to ${general(10 ** at, 3)}` });
  }
  if (!node.before && node.error !== null && !(Number(node.error) < WRONG)) {
    found.push({ kind: "wrong", text: `the local gradient is not the derivative of the value: relative error ${general(Number(node.error), 3)}` });
  }
  return found;
}

/** The signs beside a card. */
export function signsOf(node) {
  return [...new Set(ailments(node).map(({ kind }) => MARKS[kind]))].join("");
}

/** What a node's panel says of it. */
export function ailmentLines(graph, node, shown) {
  const known = ({ kind }) => shown.gradient || (kind !== "vanishing" && kind !== "exploding");
  const lines = ailments(node).filter(known).map(({ kind, text }) =>
    html("p", { class: "ailment", "data-kind": kind }, `${MARKS[kind]} ${text}`));
  if (graph.checked && node.error !== null) {
    const error = Number(node.error);
    lines.push(html("p", { class: "where", "data-error": String(node.error) }, node.before ? "in the run, " : "", error
      ? `checked against differences: relative error ${general(error, 3)}`
      : "checked against differences: no error can be measured"));
  }
  return lines;
}

/** The list for the whole graph. */
export function ailmentList(graph) {
  const ill = graph.nodes.filter((node) => ailments(node).length);
  const checked = graph.nodes.filter((node) => node.error !== null);
  const parts = [];
  if (graph.checked) {
    const worst = checked.reduce((most, node) => Math.max(most, Number(node.error) || 0), 0);
    parts.push(heading("Gradient check"), html("p", { "data-checked": "" },
      `${checked.length} nodes against differences, greatest relative error ${general(worst, 3)}`));
  }
  if (!ill.length) return parts;
  parts.push(heading(`To look at: ${ill.length} ${ill.length === 1 ? "node" : "nodes"}`));
  for (const node of ill.slice(0, LISTED_TROUBLE)) {
    parts.push(html("p", {}, nodeLink(node)), ...ailments(node).map(({ kind, text }) =>
      html("p", { class: "where", "data-kind": kind }, `${MARKS[kind]} ${text}`)));
  }
  if (ill.length > LISTED_TROUBLE) parts.push(html("p", { class: "where" }, `and ${ill.length - LISTED_TROUBLE} more`));
  return parts;
}

/** The heat scale over log10 |gradient|: as many decades as there are, at least two. */
export function heatScale(graph) {
  const decades = graph.nodes.map(decade).filter((at) => at !== null && Number.isFinite(at));
  const reach = Math.min(Math.max(2, ...decades.reduce(([low, high], at) =>
    [Math.max(low, -at), Math.max(high, at)], [0, 0])), 16);
  return {
    reach,
    /** CSS colour of a node; null where it has no gradient. */
    colour(node) {
      const at = decade(node);
      if (at === null) return null;
      const part = Math.min(Math.max(at / reach, -1), 1);
      const strength = 0.12 + 0.45 * Math.abs(part);
      return `rgba(${heatColour(part < 0 ? -1 : 1).join(", ")}, ${strength.toFixed(3)})`;
    },
  };
}

/** The legend of the heat scale. */
export function heatLegend(box, scale) {
  const steps = 17;
  const cells = Array.from({ length: steps }, (_, i) => {
    const cell = html("i");
    const part = (2 * i) / (steps - 1) - 1;
    cell.style.background = `rgba(${heatColour(part < 0 ? -1 : 1).join(", ")}, ${0.12 + 0.45 * Math.abs(part)})`;
    return cell;
  });
  const end = (power) => `1e${power > 0 ? "+" : "−"}${Math.abs(Math.round(power))}`;
  box.replaceChildren("|gradient| ", end(-scale.reach), " ", ...cells, " ", end(scale.reach));
}
