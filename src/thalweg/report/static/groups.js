/** The panel's parts about groups: the one that is chosen, those around a node, all of them. */

import { around } from "./blocks.js";
import { brief, nameIn } from "./format.js";
import { html } from "./math.js";
import { picture } from "./pictures.js";

/** Groups and members that are listed. */
const LISTED = 40;

/** Columns of a table's cell with names. */
const CELL = 13;

export function nodeLink(node) {
  return html("button", { class: "link", "data-go": node.id, title: node.label }, node.label);
}

/** The same in a table, where the end of an input's name says which leaf of a tree it is. */
export function nodeCell(node) {
  const link = nodeLink(node);
  if (node.input) link.textContent = nameIn(node, CELL);
  return html("td", { class: "text" }, link);
}

export function heading(text) {
  return html("h3", {}, text);
}

function foldButton(block, state) {
  const closed = state.collapsed.includes(block.number);
  const key = closed ? "data-expand" : "data-collapse";
  const name = `${closed ? "expand" : "collapse"} ${block.name}`;
  return html("button", { class: "fold", [key]: block.number, "aria-label": name, title: name }, closed ? "+" : "−");
}

function blockLine(graph, block, state, depth = 0) {
  const line = html("p", { class: `block depth${Math.min(depth, 4)}` }, foldButton(block, state), " ",
    html("button", { class: "link", "data-go": state.collapsed.includes(block.number) ? block.id : block.card.stands,
      title: block.name }, block.name));
  line.append(html("span", { class: "where" }, ` ${block.kind}, ${block.members.length} nodes`));
  return line;
}

/** The groups that a node is in. */
export function blockLines(graph, id, state) {
  return around(graph, id).map((block) => blockLine(graph, block, state));
}

/** All groups, those within others below them. */
export function blockTree(graph, state) {
  if (!graph.blocks.length) return [];
  const children = new Map();
  for (const block of graph.blocks) {
    children.set(block.parent, [...(children.get(block.parent) ?? []), block]);
  }
  for (const list of children.values()) list.sort((a, b) => a.members[0] - b.members[0]);
  const lines = [];
  const waiting = [...(children.get(null) ?? [])].reverse().map((block) => [block, 0]);
  while (waiting.length && lines.length < LISTED) {
    const [block, depth] = waiting.pop();
    lines.push(blockLine(graph, block, state, depth));
    waiting.push(...[...(children.get(block.number) ?? [])].reverse().map((child) => [child, depth + 1]));
  }
  const more = graph.blocks.length - lines.length;
  return [heading("Groups: c collapses, e expands, C all"), ...lines,
    ...(more ? [html("p", { class: "where" }, `and ${more} more`)] : [])];
}

/** In the place of a number whose turn comes later. */
export function later() {
  return html("p", { class: "muted" }, "Not computed yet: step on.");
}

/** A collapsed group: what goes in and out, what is in it, what it would save as one gate. */
export function blockPanel(graph, block, state, shown) {
  const { card, group } = block;
  const result = graph.nodes[card.stands];
  const parts = [html("h2", {}, block.name),
    html("p", { class: "where" }, `${block.kind} of ${block.members.length} nodes`),
    html("p", {}, foldButton(block, state), state.collapsed.includes(block.number) ? " one card; e expands it" : " expanded"),
    ...blockLines(graph, block.id, state)];
  if (group) {
    parts.push(heading("As one gate"), html("p", {}, `local gradient ${group.formula}${group.local === null ? "" : ` = ${group.local}`}`),
      html("p", { class: "where" }, `forward ${group.saved[0]} gates fewer, backward ${group.saved[1]} products fewer`));
  }
  parts.push(heading("Value ▸"), html("p", {}, "of ", nodeLink(result)), shown.value ? picture(card.value, "value") : later());
  if (card.upstream !== null) {
    parts.push(heading("Upstream gradient ◂"), shown.gradient ? picture(card.upstream, "gradient") : later());
  }
  const inside = new Set(block.members);
  const sources = [...new Set(block.members.flatMap((id) => graph.nodes[id].operands.map(({ node }) => node)))]
    .filter((id) => id !== null && !inside.has(id));
  parts.push(heading("Uses"), ...sources.slice(0, LISTED).map((id) => html("p", {}, nodeLink(graph.nodes[id]),
    html("span", { class: "value number" }, ` ▸ ${brief(graph.nodes[id].value)}`))));
  parts.push(heading("Nodes"), html("p", {}, ...block.members.slice(0, LISTED)
    .flatMap((id, i) => [i ? ", " : "", nodeLink(graph.nodes[id])]),
  block.members.length > LISTED ? `, and ${block.members.length - LISTED} more` : ""));
  return parts;
}
