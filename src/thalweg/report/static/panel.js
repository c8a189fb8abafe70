/** The panel: everything about the chosen node, or about the whole run. */

import { TERMS, backward, forward, legend, remark, symbol } from "./equations.js";
import { brief, isArray } from "./format.js";
import { blockLines, blockTree, heading, later, nodeCell, nodeLink } from "./groups.js";
import { kernelLines, kernelParts } from "./kernels.js";
import { equation, html } from "./math.js";
import { runsTable, trendParts } from "./series.js";
import { localParts } from "./local.js";
import { picture } from "./pictures.js";
import { writtenOut } from "./terms.js";
import { ailmentLines, ailmentList } from "./trouble.js";
import { unitPanel } from "./units.js";

function typeText(value) {
  if (value !== null && typeof value === "object" && "parts" in value) return `${value.parts.length} results`;
  if (!isArray(value)) return value?.text === undefined ? "float64" : "option";
  return value.shape.length ? `${value.dtype} [${value.shape.join(", ")}]` : value.dtype;
}

/** Why there is no gradient, or that it is not its turn yet. */
function withoutGradient(graph, node) {
  if (node.upstream !== null) return null;
  if (node.constant) return "No gradient: no derivative flows through this node.";
  return graph.backward ? "No gradient." : "Backward not run: the trace had no upstream gradient to start from.";
}

export function nodePanel(graph, node, shown, state) {
  const parts = [html("h2", {}, node.label),
    html("p", { class: "where" }, `node ${node.id} · ${node.input ? "input" : `gate ${node.gate}`} · ${typeText(node.value)}`)];
  if (node.line !== null) {
    parts.push(html("pre", {}, node.source || node.expression),
      html("p", { class: "where" }, `${node.file}:${node.line}`));
  } else if (!node.input) {
    parts.push(html("pre", {}, node.expression));
  }
  parts.push(...blockLines(graph, node.id, state), ...kernelLines(graph, node));
  parts.push(...ailmentLines(graph, node, shown));
  if (graph.trouble?.node === node.id) parts.push(...troubleParts(graph));
  parts.push(heading("Value ▸"), shown.value ? picture(node.value, "value") : later(),
    ...(shown.value ? inTheRun(node, "value") : []));
  parts.push(...forward(graph, node, { reveal: shown.value }));
  parts.push(...trendParts(graph, node, state.run, shown));
  if (graph.kernels.length) return [...parts, ...withoutDerivatives(graph, node)];
  parts.push(...gradientParts(graph, node, shown));
  for (const other of legend(graph, node)) {
    const line = equation(symbol(other));
    line.className = "where";
    line.append(" stands for ", nodeLink(other));
    parts.push(line);
  }
  if (shown.gradient && !state.quiz) parts.push(...unitPanel(graph, node)); // p − y is a gradient
  if (node.operands.length) parts.push(heading("Operands: local and downstream gradients"), operandTable(graph, node, shown));
  for (const operand of node.operands) {
    if (operand.node !== null && operand.kind !== null) parts.push(...localParts(graph, node, operand));
  }
  if (node.consumers.length) parts.push(heading("Used by"), consumerTable(graph, node, shown));
  return parts;
}

/** What a number was before inputs were changed. */
function inTheRun(node, key) {
  const before = node.before?.[key];
  if (!node.before || before === node[key]) return [];
  return [html("p", { class: "where", "data-before": "" }, `in the run: ${brief(before)}`)];
}

/** Operands and users of a gate of a compiled graph, in which derivatives are gates like others. */
function withoutDerivatives(graph, node) {
  const lists = [["Operands", node.operands.map((operand) => operand.node)],
    ["Used by", node.consumers.map((edge) => edge.target)]];
  return lists.filter(([, ids]) => ids.length).flatMap(([title, ids]) => [heading(title),
    ...ids.map((id, i) => {
      if (id === null) return html("p", {}, "constant ", brief(node.operands[i].value));
      const other = graph.nodes[id];
      return html("p", {}, nodeLink(other), " ", html("span", { class: "value" }, `▸ ${brief(other.value)}`));
    })]);
}

function gradientParts(graph, node, shown) {
  const parts = [heading("Upstream gradient ◂")];
  const reason = withoutGradient(graph, node);
  if (reason) {
    parts.push(html("p", { class: "muted", "data-reason": "" }, reason));
    return node.constant ? parts : [...parts, ...backward(graph, node, { reveal: false, all: false })];
  }
  parts.push(shown.gradient ? picture(node.upstream, "gradient") : later(),
    ...(shown.gradient ? inTheRun(node, "upstream") : []));
  parts.push(...backward(graph, node, { reveal: shown.gradient, all: false }));
  const paths = node.consumers.filter((edge) => edge.operand.kind !== null);
  if (paths.length > TERMS) {
    const rest = html("details", {}, html("summary", {}, `all ${paths.length} terms`));
    rest.addEventListener("toggle", () => {
      if (rest.children.length === 1) {
        rest.append(...backward(graph, node, { reveal: shown.gradient, all: true }));
      }
    });
    parts.push(rest);
  }
  for (const edge of paths.slice(0, TERMS)) {
    const text = remark(graph, node, edge);
    if (text) parts.push(html("p", { class: "where" }, `by ${graph.nodes[edge.target].label}: ${text}`));
  }
  if (shown.gradient) parts.push(...writtenOut(graph, node));
  return parts;
}

function listTable(titles, rows) {
  return html("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "table" }, html("table", { class: "list" },
    html("tr", {}, ...titles.map((title, i) => html("th", i ? {} : { class: "text" }, title))), ...rows));
}

function gradientCell(value, visible) {
  if (value === null) return html("td", { class: "muted" }, "not run");
  return html("td", { class: "gradient" }, visible ? `◂ ${brief(value)}` : "…");
}

function localText(operand) {
  return operand.local === null ? operand.kind : `×${brief(operand.local)}`;
}

function operandTable(graph, node, shown) {
  return listTable(["operand", "value ▸", "local", "downstream ◂"], node.operands.map((operand) => {
    if (operand.node === null) {
      return html("tr", {}, html("td", { class: "text muted" }, "constant"),
        html("td", {}, brief(operand.value)), html("td"), html("td"));
    }
    const source = graph.nodes[operand.node];
    const none = operand.kind === null;
    return html("tr", {}, nodeCell(source),
      html("td", { class: "value" }, `▸ ${brief(source.value)}`),
      html("td", { class: "local" }, none ? "no derivative" : localText(operand)),
      none ? html("td") : gradientCell(operand.downstream, shown.gradient && operand.node !== shown.asked));
  }));
}

function consumerTable(graph, node, shown) {
  return listTable(["node", "its gradient", "local", "hands back ◂"], node.consumers.map((edge) => {
    const consumer = graph.nodes[edge.target];
    const none = edge.operand.kind === null;
    return html("tr", {}, nodeCell(consumer),
      none ? html("td") : gradientCell(consumer.upstream, shown.gradient),
      html("td", { class: "local" }, none ? "no derivative" : localText(edge.operand)),
      none ? html("td") : gradientCell(edge.operand.downstream, shown.gradient));
  }));
}

/** Where NaN or Inf begin. */
function troubleParts(graph) {
  return [html("pre", { class: "trouble" }, graph.trouble.text.join("\n"))];
}

export function overviewPanel(graph, state, isShown) {
  const parts = [html("h2", {}, graph.function)];
  if (graph.file) parts.push(html("p", { class: "where" }, `${graph.file}:${graph.line}`));
  parts.push(html("p", {}, `${graph.nodes.length} nodes. Click one, or press n to go through ${graph.kernels.length ? "the run" : "both passes"} gate by gate; ? shows the keys.`));
  parts.push(...runsTable(graph, state.run), ...kernelParts(graph, state, nodeLink));
  if (!graph.backward && !graph.kernels.length) parts.push(html("p", { "data-reason": "" }, "Backward not run: pass upstream= in the form of the output."));
  if (graph.trouble) parts.push(html("p", {}, nodeLink(graph.nodes[graph.trouble.node])), ...troubleParts(graph));
  parts.push(heading("Inputs"), listTable(["input", "value ▸", ...(graph.kernels.length ? [] : ["gradient ◂"])], graph.inputs.map((id) => {
    const node = graph.nodes[id];
    return html("tr", {}, nodeCell(node),
      html("td", { class: "value" }, `▸ ${brief(node.value)}`),
      graph.kernels.length ? null : gradientCell(node.upstream, isShown(id).gradient));
  })));
  parts.push(heading("Output"), ...graph.outputs.map((id, i) => {
    const value = html("span", { class: "value number" }, `▸ ${brief(graph.output_values[i])}`);
    return html("p", {}, ...(id === null ? [value, " depends on no input"] : [nodeLink(graph.nodes[id]), " ", value]));
  }));
  if (!state.quiz) parts.push(...unitPanel(graph), ...ailmentList(graph));
  parts.push(...blockTree(graph, state));
  if (graph.groups.length) {
    parts.push(heading("Could be one gate"));
    for (const group of graph.groups.slice(0, 20)) {
      parts.push(html("p", {}, html("strong", {}, group.name), ": ",
        ...group.members.slice(0, 12).flatMap((id, i) => [i ? ", " : "", nodeLink(graph.nodes[id])])),
      html("p", { class: "where" }, `local gradient ${group.formula}${group.local === null ? "" : ` = ${group.local}`}`));
    }
  }
  if (graph.notes.length) parts.push(heading("Notes on the run"), ...graph.notes.map((note) => html("p", {}, note)));
  return parts;
}
