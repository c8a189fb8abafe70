/** Cards and wires: the value above, the gradient below, the local gradient over the wire. */

import { bodyOf, portOf } from "./data.js";
import { brief, briefIn, cut, isFaulty, nameIn, shapeOf, shapeText } from "./format.js";
import { kernelTag } from "./kernels.js";
import { svg } from "./math.js";
import { signsOf } from "./trouble.js";

const LONGEST = 22;
const ON_WIRE = 18;

/** What the card says about the gradient: a number, or why there is none. */
export function gradientText(graph, node, columns) {
  if (node.upstream !== null) return { text: `◂ ${briefIn(node.upstream, columns)}`, role: "gradient" };
  if (graph.kernels.length) return { text: "", role: "muted" };
  return { text: graph.backward ? "no gradient" : "backward not run", role: "muted" };
}

export function drawCard(graph, node, shown, heat = null) {
  const body = bodyOf(node);
  const middle = body.x + body.width / 2;
  const shape = shapeText(shapeOf(node.value));
  const room = Math.floor((body.width - 10) / 7);
  const label = `${nameIn(node, Math.max(room - (shape ? shape.length + 1 : 0), 4))}${shape ? ` ${shape}` : ""}`;
  const centre = body.y + body.height / 2;
  const classes = ["card", node.block && "group", node.input && "input", node.output && "output",
    isFaulty(node.value) && shown.value && "nonfinite",
    isFaulty(node.upstream) && shown.gradient && "nonfinite",
    graph.trouble?.node === node.id && "producer", node.before && "changed"].filter(Boolean);
  const tag = kernelTag(graph, node.id, shown.kernel);
  classes.push(...tag.classes);
  const text = (role, y, content) => svg("text", { class: role, x: middle, y }, content);
  const columns = Math.floor((body.width + 24) / 7.3) - 2;
  const gradient = gradientText(graph, node, columns);
  const frame = svg("rect", { x: body.x, y: body.y, width: body.width, height: body.height, rx: 9 });
  const colour = heat && shown.gradient ? heat.colour(node) : null;
  if (colour) frame.style.fill = colour;
  const signs = shown.gradient ? signsOf(node) : "";
  return svg("g", { class: classes.join(" "), "data-node": node.id },
    frame,
    signs ? svg("text", { class: "sign", x: body.x + body.width + 4, y: body.y + 10 }, signs) : null,
    tag.text ? svg("text", { class: "tag", x: body.x + 5, y: body.y + 13 }, cut(tag.text, 5)) : null,
    shown.value ? text(node.before && node.before.value !== node.value ? "value changed" : "value", body.y - 6,
      cut(`▸ ${briefIn(node.value, columns)}`, LONGEST)) : null,
    graph.trouble?.node === node.id
      ? svg("text", { class: "flag", x: body.x + body.width - 10, y: body.y + 14 }, "!") : null,
    node.before ? svg("text", { class: "delta", x: body.x + body.width - 9, y: body.y + body.height - 5 }, "Δ") : null,
    node.input
      ? text("label", centre + 4, label)
      : text("gate", centre - 2, cut(node.gate, Math.floor(room * 0.85))),
    node.input ? null : text("label", centre + 14, label),
    shown.gradient || (gradient.role === "muted" && shown.everything)
      ? text(node.before && node.before.upstream !== node.upstream ? `${gradient.role} changed` : gradient.role,
        body.y + body.height + 14, cut(gradient.text, LONGEST)) : null);
}

export function wireTexts(edge, columns) {
  const { operand } = edge;
  if (edge.source === null) return { local: "", below: brief(operand.value), role: "muted" };
  return {
    local: operand.local === null ? operand.kind ?? "" : `×${briefIn(operand.local, columns)}`,
    below: operand.downstream === null ? "" : `◂ ${briefIn(operand.downstream, columns, 2)}`,
    role: "gradient",
  };
}

export function drawEdge(graph, edge, shown) {
  const target = graph.card(edge.target);
  const y = portOf(target, edge.position);
  const x = target.x + target.wires / 2 - 1;
  const texts = wireTexts(edge, Math.floor((target.wires - 6) / 6.4) - 2);
  const constant = edge.source === null;
  const classes = ["edge", constant && "constant", !constant && edge.operand.kind === null && "cut"];
  const roomy = target.pitch > 20;
  const room = target.block ? Math.floor((target.wires - 14) / 6.4) : ON_WIRE;
  const text = (role, dy, content) => roomy && content && room > 3
    ? svg("text", { class: role, x, y: y + dy }, cut(content, Math.min(room, ON_WIRE))) : null;
  const hidden = shown.asked === undefined ? undefined : graph.standsFor(shown.asked);
  const below = constant || (shown.gradient && edge.source !== hidden) ? texts.below : "";
  return svg("g", { class: classes.filter(Boolean).join(" "), "data-target": edge.target,
    "data-operand": edge.position },
    svg("path", { d: edge.path }),
    svg("circle", { cx: target.x + target.wires, cy: y, r: 2.6 }),
    text("local", -4, texts.local),
    text(texts.role, constant ? -4 : 12, below));
}
