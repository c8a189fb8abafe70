/** Arrays to look at: a table of the entries, or what a summary has: ends, histogram, heat map. */

import { entriesOf, entry, general, indexOf, shapeOf, toNumber } from "./format.js";
import { html, svg } from "./math.js";

/** A diverging scale that reads without red and green: blue below 0, white, orange above. */
export function heatColour(part) {
  const [r, g, b] = part < 0 ? [33, 102, 172] : [204, 92, 12];
  const strength = Math.min(Math.abs(part), 1);
  const mix = (end) => Math.round(247 + (end - 247) * strength);
  return [mix(r), mix(g), mix(b)];
}

function heatCanvas({ rows, cells, max }) {
  const columns = cells.length / 2 / rows;
  const canvas = html("canvas", { class: "heat", width: columns, height: rows, role: "img",
    "aria-label": `heat map from −${general(max, 3)} (blue) to ${general(max, 3)} (orange)` });
  const pen = canvas.getContext("2d");
  const image = pen.createImageData(columns, rows);
  for (let i = 0; i < rows * columns; i += 1) {
    const byte = parseInt(cells.slice(2 * i, 2 * i + 2), 16);
    const colour = byte === 0 ? [200, 0, 200] : heatColour((byte - 128) / 127);
    image.data.set([...colour, 255], 4 * i);
  }
  pen.putImageData(image, 0, 0);
  return canvas;
}

function bars(counts) {
  const most = Math.max(...counts);
  const chart = svg("svg", { class: "histogram", viewBox: `0 0 ${counts.length} 50`,
    preserveAspectRatio: "none", role: "img", "aria-label": "histogram" });
  counts.forEach((count, i) => {
    const height = count ? Math.max((count / most) * 48, 1) : 0;
    chart.append(svg("rect", { x: i + 0.06, width: 0.88, y: 50 - height, height }));
  });
  return chart;
}

function entryTable(entries, shape) {
  const columns = shape.at(-1) ?? 1;
  const table = html("table", { class: "entries" });
  for (let start = 0; start < entries.length; start += columns) {
    const line = html("tr");
    if (shape.length > 2) {
      line.append(html("th", {}, `[${indexOf(start / columns, shape.slice(0, -1)).join(",")}]`));
    }
    entries.slice(start, start + columns).forEach((x, i) => {
      line.append(html("td", { "data-entry": start + i }, entry(x)));
    });
    table.append(line);
  }
  return html("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "entries" }, table);
}

/** Everything that the page has about a value. */
export function picture(value, role) {
  if (value !== null && typeof value === "object" && "parts" in value) {
    return html("div", {}, ...value.parts.map((part) => picture(part, role)));
  }
  if (value !== null && typeof value === "object" && "text" in value) {
    return html("p", {}, value.text);
  }
  const entries = entriesOf(value);
  const shape = shapeOf(value);
  if (entries && shape.length === 0) {
    const exact = typeof entries[0] === "number" ? String(entries[0]) : entry(entries[0], 17);
    return html("p", { class: `big number ${role}`, "data-exact": exact }, entry(entries[0], 10));
  }
  if (entries) {
    const shown = entries.length ? entryTable(entries, shape) : html("p", { class: "muted" }, "no entries");
    shown.classList.add(role);
    return shown;
  }
  const [low, mean, high, nan, inf] = value.summary;
  const box = html("div", { class: role });
  if (value.dtype.startsWith("complex")) box.append(html("p", { class: "muted" }, "of the modulus:"));
  if (value.histogram?.length) box.append(bars(value.histogram));
  if (low !== null) {
    box.append(html("div", { class: "ends number" }, html("span", {}, general(low)),
      html("span", {}, `mean ${general(toNumber(mean))}`), html("span", {}, general(high))));
  }
  if (nan || inf) box.append(html("p", {}, html("strong", {}, `${nan} nan, ${inf} inf`)));
  if (value.heat) {
    box.append(html("p", { class: "muted" }, `blue −${general(value.heat.max, 3)} · white 0 · orange ${general(value.heat.max, 3)}`),
      heatCanvas(value.heat));
  }
  return box;
}
