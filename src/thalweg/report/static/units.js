/** The output unit: the distribution p(y|x) that the cost belongs to, its components, p − y. */

import { general, toNumber } from "./format.js";
import { heading, nodeLink } from "./groups.js";
import { html, svg } from "./math.js";

const NAMES = { categorical: "softmax: categorical", bernoulli: "sigmoid: Bernoulli", gaussian: "Gaussian",
  mixture: "mixture of Gaussians" };
/** Size of a picture of a density. */
const [WIDE, HIGH, POINTS] = [330, 120, 160];

function cells(numbers, role = "") {
  return numbers.map((x) => html("td", { class: role, "data-exact": String(x) }, general(x, 4)));
}

function lines(titles, rows) {
  return html("div", { class: "scroll" }, html("table", { class: "list unit" },
    html("tr", {}, ...titles.map((title) => html("th", {}, title))), ...rows));
}

/** Bars of the probabilities; the target is a line across. */
function bars01(p, y) {
  if (![...p, ...(y ?? [])].every(Number.isFinite)) return html("p", { class: "where" }, "not drawn: a number is not finite");
  const step = WIDE / p.length;
  const picture = svg("svg", { class: "unitplot", viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img",
    "aria-label": `probabilities ${p.map((x) => general(x, 3)).join(", ")}` });
  p.forEach((x, i) => {
    picture.append(svg("rect", { class: "bar", x: i * step + 0.15 * step, width: 0.7 * step,
      y: HIGH - x * (HIGH - 8), height: x * (HIGH - 8) }));
    if (y) {
      const at = HIGH - y[i] * (HIGH - 8);
      picture.append(svg("path", { class: "target", d: `M${i * step + 0.08 * step} ${at}h${0.84 * step}` }));
    }
  });
  return picture;
}

function discrete({ kind }, { p, y }) {
  const two = kind === "bernoulli";
  const both = (x) => (two ? [1 - x[0], x[0]] : x);
  const [chances, targets] = [both(p), y && both(y)];
  const rows = chances.map((x, i) => html("tr", {}, html("td", {}, String(i)), ...cells([x], "value"),
    ...(targets ? [...cells([targets[i]]), ...cells([x - targets[i]], "gradient")] : [])));
  const parts = [bars01(chances, targets), lines(["class", "p ▸", ...(targets ? ["y", "p − y ◂"] : [])], rows)];
  if (targets) {
    const cost = -targets.reduce((sum, t, i) => sum + (t ? t * Math.log(chances[i]) : 0), 0);
    parts.push(html("p", { class: "where", "data-cost": String(cost) }, `cost −Σ y log p = ${general(cost)}; its gradient by the logits is p − y`));
  } else parts.push(html("p", { class: "where" }, "the targets are not known: the backward pass was not run"));
  return parts;
}

function density(x, loc, scale) {
  return Math.exp(-0.5 * ((x - loc) / scale) ** 2) / (scale * Math.sqrt(2 * Math.PI));
}

/** Curves of the whole and of its components, with the target as a line. */
function curve(components, y) {
  const low = Math.min(y, ...components.map(({ loc, scale }) => loc - 3.5 * scale));
  const high = Math.max(y, ...components.map(({ loc, scale }) => loc + 3.5 * scale));
  const places = Array.from({ length: POINTS }, (_, i) => low + ((high - low) * i) / (POINTS - 1));
  const each = components.map(({ weight, loc, scale }) => places.map((x) => weight * density(x, loc, scale)));
  const whole = places.map((_, i) => each.reduce((sum, values) => sum + values[i], 0));
  const most = Math.max(...whole) || 1;
  const left = (x) => ((x - low) / (high - low)) * WIDE;
  const path = (values) => `M${values.map((value, i) => `${left(places[i]).toFixed(1)} ${(HIGH - (value / most) * (HIGH - 8)).toFixed(1)}`).join("L")}`;
  return html("div", {}, svg("svg", { class: "unitplot", viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img",
    "aria-label": `density from ${general(low, 3)} to ${general(high, 3)}, target ${general(y, 3)}` },
  ...(each.length > 1 ? each.map((values) => svg("path", { class: "part", d: path(values) })) : []),
  svg("path", { class: "whole", d: path(whole) }),
  svg("path", { class: "target", d: `M${left(y).toFixed(1)} 0V${HIGH}` })),
  html("div", { class: "ends number" }, html("span", {}, general(low, 3)), html("span", {}, `y = ${general(y)}`), html("span", {}, general(high, 3))));
}

function continuous({ kind }, row) {
  const y = row.y[0];
  const mixture = kind === "mixture";
  const components = row.loc.map((loc, k) => ({ loc, scale: row.scale[k], weight: mixture ? row.weights[k] : 1 }));
  const whole = components.reduce((sum, { weight, loc, scale }) => sum + weight * density(y, loc, scale), 0);
  const rows = components.map(({ weight, loc, scale }, k) => html("tr", {}, html("td", {}, String(k)),
    ...(mixture ? cells([weight], "value") : []), ...cells([loc, scale], "value"),
    ...(mixture ? cells([row.responsibilities[k], weight - row.responsibilities[k]], "gradient") : cells([loc - y, (loc - y) / scale ** 2], "gradient"))));
  const titles = mixture ? ["k", "weight ▸", "mean ▸", "std ▸", "p(k|y)", "difference ◂"]
    : ["k", "mean ▸", "std ▸", "mean − y", "(mean − y)/std² ◂"];
  const drawn = Number.isFinite(y) && components.every(({ loc, scale, weight }) =>
    [loc, scale, weight].every(Number.isFinite) && scale > 0);
  return [drawn ? curve(components, y) : html("p", { class: "where" }, "not drawn: a number is not finite"), lines(titles, rows),
    html("p", { class: "where", "data-cost": String(-Math.log(whole)) }, `p(y|x) = ${general(whole)}, cost −log p = ${general(-Math.log(whole))}` +
      (mixture ? "; the gradient by the weights' logits is the difference, weight − p(k|y)" : "; the gradient by the mean is (mean − y)/std²"))];
}

/** The unit with a row of the batch to choose. */
function unitParts(graph, unit) {
  const rows = unit.rows.map((row) => Object.fromEntries(Object.entries(row)
    .map(([key, numbers]) => [key, numbers && numbers.map(toNumber)])));
  const box = html("div", { class: "unitbox" });
  const draw = unit.kind === "categorical" || unit.kind === "bernoulli" ? discrete : continuous;
  const show = (i) => box.replaceChildren(...draw(unit, rows[i]));
  const parts = [heading(`Output unit · ${NAMES[unit.kind]}`),
    html("p", {}, "p(y|x) from ", nodeLink(graph.nodes[unit.node]))];
  if (graph.nodes.some(({ before }) => before)) parts.push(html("p", { class: "where" }, "as it was in the run, before inputs were changed"));
  if (rows.length > 1) {
    const field = html("input", { type: "range", min: 0, max: rows.length - 1, value: 0, class: "rows", "aria-label": "row of the batch" });
    const label = html("output", {}, "row 0");
    field.addEventListener("input", () => {
      label.textContent = `row ${field.value}`;
      show(Number(field.value));
    });
    parts.push(html("p", {}, field, " ", label, html("span", { class: "where" },
      rows.length < unit.total ? ` the first ${rows.length} of ${unit.total}` : ` of ${unit.total}`)));
  }
  show(0);
  return [...parts, box];
}

/** Every unit of the graph; those of one node or its cost, where a node is given. */
export function unitPanel(graph, node = null) {
  const output = graph.outputs[0];
  const wanted = graph.units.filter((unit) => node === null || node.id === unit.node || node.id === output);
  return wanted.slice(0, 4).flatMap((unit) => (unit.rows.length ? unitParts(graph, unit) : []));
}
