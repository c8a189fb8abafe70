/** Several runs of one graph: a slider goes through them, and a node's numbers are drawn over all. */

import { operandNumbers } from "./data.js";
import { brief, isArray, toNumber } from "./format.js";
import { heading } from "./groups.js";
import { html, svg } from "./math.js";

const TREND_WIDE = 300;
const TREND_HIGH = 46;

/** The page's numbers become those of a run. */
export function showRun(graph, number) {
  const run = graph.frames[number];
  const text = (place) => graph.raw.texts[place];
  run.nodes.forEach((given, id) => {
    const node = graph.nodes[id];
    Object.assign(node, { value: given.value, upstream: given.upstream ?? null, symptoms: given.symptoms ?? [],
      error: given.error ?? null });
    given.operands.forEach((operand, i) => Object.assign(node.operands[i], operandNumbers(operand, text)));
  });
  const { outputs, trouble, backward, checked, units } = run;
  Object.assign(graph, { output_values: outputs, trouble, backward, checked, units });
  graph.groups = graph.groups.map((group) => ({ ...group, local: null }));
}

/** The slider and what it says. */
export function startSeries(graph, elements, choose) {
  const { group, slider, label, play } = elements;
  if (!graph.frames.length) return { show() {}, move() {} };
  group.hidden = false;
  slider.max = String(graph.frames.length - 1);
  let playing = null;
  const stop = () => {
    clearInterval(playing);
    playing = null;
    play.textContent = "▶";
  };
  slider.addEventListener("input", () => { stop(); choose(Number(slider.value)); });
  play.addEventListener("click", () => {
    if (playing !== null) { stop(); return; }
    if (Number(slider.value) === graph.frames.length - 1) choose(0);
    play.textContent = "❚❚";
    playing = setInterval(() => {
      const next = Number(slider.value) + 1;
      if (next >= graph.frames.length) stop();
      else choose(next);
    }, 600);
  });
  return {
    show(number) {
      slider.value = String(number);
      label.textContent = graph.frames[number].label;
      slider.setAttribute("aria-valuetext", graph.frames[number].label);
    },
    move(by) {
      stop();
      choose(Math.min(Math.max(Number(slider.value) + by, 0), graph.frames.length - 1));
    },
  };
}

/** One number for a value: itself, or the greatest modulus of its entries. */
function sizeOfValue(value) {
  if (value === null || value === undefined || value.text !== undefined || value.parts) return null;
  if (!isArray(value)) return Number(value);
  const [low, , high] = value.summary ?? [];
  if (!value.data && low === null) return null;
  const entries = value.data ? value.data.map(toNumber) : [low, high].map(Number);
  if (!value.shape.length) return entries[0];
  return entries.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
}

function line(numbers, role, now) {
  const finite = numbers.filter((x) => x !== null && Number.isFinite(x));
  if (finite.length < 2) return null;
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const x = (i) => 4 + ((TREND_WIDE - 8) * i) / Math.max(numbers.length - 1, 1);
  const y = (value) => TREND_HIGH - 6 - ((TREND_HIGH - 12) * (value - low)) / (high - low || 1);
  const points = numbers.map((value, i) => (value === null || !Number.isFinite(value) ? null : `${x(i)},${y(value)}`));
  const chart = svg("svg", { class: `trend ${role}`, viewBox: `0 0 ${TREND_WIDE} ${TREND_HIGH}`, role: "img",
    "aria-label": `from ${finite[0].toPrecision(3)} to ${finite.at(-1).toPrecision(3)} over ${numbers.length} runs` },
  svg("polyline", { points: points.filter(Boolean).join(" ") }));
  if (points[now]) chart.append(svg("circle", { cx: x(now), cy: y(numbers[now]), r: 3.5 }));
  return html("div", {}, chart, html("p", { class: "where ends" }, html("span", {}, low.toPrecision(4)), html("span", {}, high.toPrecision(4))));
}

/** A node's value and gradient over all runs. */
export function trendParts(graph, node, now, shown) {
  if (!graph.frames.length) return [];
  const of = (key) => graph.frames.map((run) => sizeOfValue(run.nodes[node.id][key]));
  const whole = isArray(node.value) && node.value.shape.length;
  const parts = [heading(`Over the runs: ${graph.frames[now].label}`)];
  const charts = [["value", of("value")], ["gradient", of("upstream")]].filter(([role]) => shown[role]);
  for (const [role, numbers] of charts) {
    const chart = line(numbers, role, now);
    if (chart) parts.push(html("p", { class: `where ${role}` }, whole ? `greatest |${role}|` : role), chart);
  }
  return parts.length > 1 ? parts : [];
}

/** The outputs of all runs, in the overview. */
export function runsTable(graph, now) {
  if (!graph.frames.length) return [];
  return [heading("Runs"), html("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "runs" },
    html("table", { class: "list" }, html("tr", {}, html("th", { class: "text" }, "run"), html("th", {}, "output ▸")),
      ...graph.frames.map((run, number) => html("tr", number === now ? { class: "chosen" } : {},
        html("td", { class: "text" }, html("button", { class: "link", "data-run": number }, run.label)),
        html("td", { class: "value" }, run.outputs.map((value) => brief(value)).join(", "))))))];
}
