/** The panel's part about two nodes: the Jacobian between them, path by path. */

import { PATHS, between } from "./between.js";
import { brief, general } from "./format.js";
import { heading, nodeLink } from "./groups.js";
import { denseTable, showDense, spyPlot } from "./local.js";
import { tripletsOf } from "./matrix.js";
import { html } from "./math.js";

/** Entries of a contribution that is shown as a table. */
const TABLED = 36;

function size({ rows, columns }) {
  return `${rows.toLocaleString("en")} × ${columns.toLocaleString("en")}`;
}

function shownMatrix(found) {
  if (!found) return html("span", { class: "muted" }, "not computed");
  if (found.rows * found.columns === 1) {
    const number = found.places.get(0) ?? 0;
    return html("span", { class: "number local", "data-exact": String(number) }, general(number, 10));
  }
  if (found.rows * found.columns <= TABLED) return denseTable(found);
  const entries = tripletsOf(found).map((triplet) => triplet[2]);
  return html("span", { class: "local number" }, entries.length
    ? `${entries.length} entries, ${general(Math.min(...entries), 3)} … ${general(Math.max(...entries), 3)}` : "zero");
}

function pathLine(graph, { steps, contribution }, from) {
  const factors = steps.map(({ operand }) =>
    operand.local === null ? operand.kind : `×${brief(operand.local)}`);
  const names = [nodeLink(graph.nodes[from]), ...steps.flatMap(({ node }) => [" → ", nodeLink(graph.nodes[node])])];
  const ids = [from, ...steps.map(({ node }) => node)];
  return html("li", { "data-path": ids.join(",") }, html("div", {}, ...names),
    html("div", { class: "where" }, `${[...factors].reverse().join(" · ")} =`), shownMatrix(contribution),
    html("button", { class: "show" }, "show in the graph"));
}

/** Why there is no matrix. */
function reasonOf(graph, found) {
  if (found.missing) {
    const [node, operand] = found.missing.map((id) => graph.nodes[id].label.slice(0, 40));
    const why = graph.frames.length ? "a page of several runs keeps single numbers only; write a page of one of them"
      : "which is too large; trace smaller arrays";
    return `Not computed: the page does not have the entries of ∂(${node})/∂(${operand}), ${why}, or call tw.jacobian.`;
  }
  return found.tooLarge ? "Not computed: too many multiplications for this page; call tw.jacobian." : null;
}

export function pairPanel(graph, one, other) {
  const found = between(graph, one, other);
  const [from, to] = [graph.nodes[found.from], graph.nodes[found.to]];
  const parts = [html("h2", {}, `∂(${to.label.slice(0, 40)})/∂(${from.label.slice(0, 40)})`),
    html("p", {}, "from ", nodeLink(from), " to ", nodeLink(to), html("span", { class: "where" }, " · m or Escape ends it"))];
  if (graph.kernels.length) return [...parts, html("p", { "data-none": "" }, "Not computed: in a compiled graph derivatives are gates like others; look at a trace of the function itself.")];
  if (!found.count) return [...parts, html("p", { "data-none": "" }, "No path with a derivative leads from one to the other: the Jacobian is zero.")];
  const reason = reasonOf(graph, found);
  parts.push(heading("Jacobian between them"));
  if (reason) parts.push(html("p", { class: "muted", "data-none": "" }, reason));
  else {
    const { total } = found;
    parts.push(html("p", { class: "where" }, `${size(total)}, ${total.places.size.toLocaleString("en")} non-zero by structure`),
      html("div", { class: "total" }, shownMatrix(total)));
    if (total.rows * total.columns > 1) parts.push(spyPlot(total));
    if (total.rows * total.columns > TABLED) parts.push(showDense(total, total.rows, total.columns));
  }
  const count = found.count < 1e6 ? found.count.toLocaleString("en") : general(found.count, 3);
  const some = found.count > found.paths.length;
  parts.push(heading(`${count} ${found.count === 1 ? "path" : "paths"}: the product along each, added up`));
  if (some) parts.push(html("p", { class: "where" }, `the first ${PATHS} are listed; the Jacobian above counts all`));
  parts.push(html("ol", { class: "paths" }, ...found.paths.map((path) => pathLine(graph, path, found.from))));
  return parts;
}
