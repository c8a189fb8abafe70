/** The compiled view: which gates run as one kernel, and what that takes. */

import { bytes } from "./format.js";
import { html } from "./math.js";

const TINTS = 6;
const MEMBERS = 200;

/** For each node the kernels that compute it: mostly one, several where it is computed again. */
export function readKernels(graph) {
  graph.kernelsOf = new Map();
  graph.kernels.forEach((kernel, number) => {
    for (const id of kernel.members) graph.kernelsOf.set(id, [...(graph.kernelsOf.get(id) ?? []), number]);
  });
}

/** What a card shows of its kernel: a class for the tint, and the number, so that colour is not all. */
export function kernelTag(graph, id, chosen) {
  const numbers = graph.kernelsOf.get(id) ?? [];
  if (!numbers.length) return { classes: [], text: "" };
  const classes = ["kernel", `tint${numbers[0] % TINTS}`];
  if (numbers.includes(chosen)) classes.push("inkernel");
  return { classes, text: numbers.join(" ") };
}

function kernelTime(seconds) {
  if (seconds === null) return "";
  return seconds < 1e-3 ? `${(seconds * 1e6).toPrecision(3)} µs` : `${(seconds * 1e3).toPrecision(3)} ms`;
}

function rooflineShare({ seconds, least }) {
  return seconds === null || least === null || seconds === 0 ? "" : `${Math.round((100 * least) / seconds)} %`;
}

function kernelLink(graph, number) {
  const { name } = graph.kernels[number];
  return html("button", { class: "link", "data-kernel": number, title: `the gates of ${name}` }, `${number} ${name}`);
}

/** All kernels, and the gates of the chosen one. */
export function kernelParts(graph, state, nodeLink) {
  if (!graph.kernels.length) return [];
  const parts = [html("h3", {}, "Kernels, in the order in which they run")];
  const measured = graph.kernels.some((kernel) => kernel.seconds !== null);
  const titles = ["kernel", "gates", "bytes", ...(measured ? ["time", "of the roofline"] : [])];
  parts.push(html("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "kernels" },
    html("table", { class: "list" },
      html("tr", {}, ...titles.map((title, i) => html("th", i ? {} : { class: "text" }, title))),
      ...graph.kernels.map((kernel, number) => html("tr", number === state.kernel ? { class: "chosen" } : {},
        html("td", { class: "text" }, kernelLink(graph, number)),
        html("td", {}, String(kernel.members.length)), html("td", {}, kernel.bytes ? bytes(kernel.bytes) : ""),
        ...(measured ? [html("td", {}, kernelTime(kernel.seconds)), html("td", {}, rooflineShare(kernel))] : []))))));
  if (state.kernel !== null) {
    const kernel = graph.kernels[state.kernel];
    parts.push(html("h3", {}, `Kernel ${state.kernel}: ${kernel.name}`),
      html("p", {}, `${kernel.what}; ${kernel.bytes.toLocaleString("en")} bytes, ${kernel.flops.toLocaleString("en")} operations`),
      html("p", { class: "kernel-gates" }, ...kernel.members.slice(0, MEMBERS)
        .flatMap((id, i) => [i ? ", " : "", nodeLink(graph.nodes[id])]),
      kernel.members.length > MEMBERS ? `, … ${kernel.members.length} in all` : ""));
  }
  return parts;
}

/** Where a gate runs. */
export function kernelLines(graph, node) {
  if (!graph.kernels.length) return [];
  const numbers = graph.kernelsOf.get(node.id) ?? [];
  const line = html("p", { class: "runs-in" });
  if (numbers.length) line.append("Runs in ", ...numbers.flatMap((k, i) => [i ? ", " : "", kernelLink(graph, k)]));
  else line.append(node.input ? "An argument." : "Costs nothing: another view of its operand, or a constant.");
  return [line];
}
