/** Where inputs are changed: an input, an entry of it, a number field and a slider. */

import { entry, general, indexOf } from "./format.js";
import { html } from "./math.js";
import { change, state } from "./state.js";
import { takes, writeEdits } from "./whatif.js";

/** Steps of the slider, at least. */
const STEPS = 20;
/** Changes that are listed. */
const MOST_LINES = 12;

export class Dock {
  constructor(graph, what, element) {
    this.graph = graph;
    this.what = what;
    this.element = element;
    /** The input and its entry whose number is in the field. */
    this.place = 0;
    this.at = 0;
    /** What the changes were before, for undo. */
    this.past = [];
    /** @type {string | null} the changes before the one that is under way */
    this.before = null;
    /** The first input with an entry that can be changed. */
    const first = what.missing === null ? what.interpreter.starts.findIndex(({ data }) => data.length) : 0;
    element.hidden = !graph.inputs.length || first < 0;
    if (what.missing !== null) {
      element.append(html("p", { class: "where" }, `What if: inputs cannot be changed here: ${what.missing}.`));
      return;
    }
    this.build();
    this.choose(Math.max(first, 0), 0);
  }

  build() {
    const names = this.graph.inputs.map((id, i) =>
      html("option", { value: i, ...(this.what.interpreter.starts[i].data.length ? {} : { disabled: "" }) }, this.graph.nodes[id].label.slice(0, 40)));
    this.input = html("select", { id: "whatif-input", "aria-label": "input to change" }, ...names);
    this.axes = html("span", {});
    this.number = html("input", { id: "whatif-number", type: "number", step: "any", "aria-label": "its value", title: "w" });
    this.slider = html("input", { id: "whatif-slider", type: "range", "aria-label": "its value, by a slider" });
    this.undo = html("button", { id: "whatif-undo", title: "take the last change back (u)" }, "undo");
    this.reset = html("button", { id: "whatif-reset", title: "all inputs as they were (r)" }, "reset");
    this.changes = html("p", { id: "whatif-changes", class: "where" });
    this.message = html("p", { id: "whatif-message", class: "trouble", role: "alert", hidden: "" });
    this.element.append(
      html("h2", {}, "What if"),
      html("div", { class: "fields" }, this.input, this.axes, html("span", {}, "="), this.number, this.undo, this.reset),
      this.slider, this.changes, this.message);
    this.input.addEventListener("change", () => this.choose(Number(this.input.value), 0));
    this.number.addEventListener("input", () => this.edit(this.number.value, true));
    this.number.addEventListener("change", () => this.edit(this.number.value, false));
    const slid = () => Number(this.slider.value).toPrecision(12);
    this.slider.addEventListener("input", () => this.edit(slid(), true));
    this.slider.addEventListener("change", () => this.edit(slid(), false));
    this.undo.addEventListener("click", () => this.back());
    this.reset.addEventListener("click", () => this.clear());
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" && event.target.tagName !== "BUTTON") event.stopPropagation();
    });
  }

  /** Another input, or another entry of it. */
  choose(place, at) {
    if (this.what.missing !== null) return;
    const { shape, data } = this.what.interpreter.starts[place];
    if (!data.length) return;
    Object.assign(this, { place, at });
    this.input.value = String(place);
    const index = indexOf(at, shape);
    const fields = shape.map((length, axis) => html("input", { type: "number", class: "index", min: 0,
      max: length - 1, value: index[axis], "aria-label": `index along axis ${axis}` }));
    for (const field of fields) {
      field.addEventListener("change", () => {
        const chosen = fields.map((f, axis) => Math.min(Math.max(Math.trunc(Number(f.value)), 0), shape[axis] - 1));
        this.choose(place, chosen.reduce((flat, k, axis) => flat * shape[axis] + k, 0));
      });
    }
    this.axes.replaceChildren(...fields);
    const now = this.what.entry(place, at);
    const start = Number.isFinite(now) ? now : 0;
    const largest = data.reduce((most, x) => Math.max(most, Number.isFinite(x) ? Math.abs(x) : 0), 0);
    const reach = Math.min(Math.max(2 * largest, 1), 1e300);
    const step = 10 ** Math.floor(Math.log10(reach / STEPS));
    const ends = { min: Math.floor((start - reach) / step), max: Math.ceil((start + reach) / step) };
    for (const [key, x] of Object.entries({ ...ends, step: 1 })) this.slider.setAttribute(key, String(x * step));
    this.show();
  }

  /** The input that belongs to a node that was chosen in the graph. */
  follow(id) {
    const place = this.graph.inputs.indexOf(id);
    if (place >= 0 && place !== this.place) this.choose(place, 0);
  }

  /** What an address says: the entry that was changed last, and why it is not computed. */
  restore(refused) {
    if (this.what.missing !== null) return;
    const last = [...this.what.edits.values()].at(-1);
    if (last) this.choose(last.place, last.at);
    this.say(refused);
    this.show();
  }

  /** `passing`: while it is typed or dragged; the last number makes an entry in the history. */
  edit(text, passing) {
    const value = Number(text);
    if (text === "" || !Number.isFinite(value)) {
      this.say("Not a number.");
      return;
    }
    const { dtype } = this.what.interpreter.starts[this.place];
    if (!takes(dtype, value)) {
      this.say(dtype === "bool" ? "Only 0 and 1: it is a truth value." : "Only whole numbers: it is an integer.");
      return;
    }
    const id = this.graph.inputs[this.place];
    const edits = new Map(this.what.edits);
    const key = `${id}.${this.at}`;
    edits.delete(key);
    if (value !== this.what.interpreter.starts[this.place].data[this.at]) {
      edits.set(key, { id, place: this.place, at: this.at, value });
    }
    this.commit(writeEdits(edits), passing);
  }

  commit(text, passing = false) {
    this.before ??= this.what.shown;
    const refused = this.what.apply(text);
    this.say(refused);
    if (!passing) {
      if (this.what.shown !== this.before) this.past.push(this.before);
      this.before = null;
    }
    change({ what: this.what.shown }, passing);
    if (refused === null) this.show();
  }

  back() {
    while (this.past.length) {
      const before = this.past.pop();
      if (before === state.what) continue;
      this.what.apply(before);
      this.say(null);
      change({ what: before });
      this.show();
      return;
    }
  }

  clear() {
    if (this.what.missing === null && state.what) this.commit("");
  }

  focus() {
    if (this.element.hidden) return;
    this.number?.focus();
    this.number?.select();
  }

  say(text) {
    this.message.hidden = text === null;
    this.message.textContent = text ?? "";
    this.number.setAttribute("aria-invalid", String(text !== null));
  }

  /** The numbers of now in the fields; one that is typed in is left as it is. */
  show() {
    if (this.what.missing !== null || this.element.hidden) return;
    const value = this.what.entry(this.place, this.at);
    const text = Number.isFinite(value) ? String(value) : ""; // no such field takes NaN
    this.number.placeholder = general(value);
    if (document.activeElement !== this.number || Number(this.number.value) !== value) this.number.value = text;
    if (document.activeElement !== this.slider) this.slider.value = text || "0";
    this.undo.disabled = !this.past.length;
    this.reset.disabled = !this.what.edits.size;
    const lines = [...this.what.edits.values()].map(({ id, place, at, value: now }) => {
      const { data, shape } = this.what.interpreter.starts[place];
      const index = shape.length ? `[${indexOf(at, shape).join(", ")}]` : "";
      return `${this.graph.nodes[id].label.slice(0, 24)}${index}: ${entry(data[at])} → ${entry(now)}`;
    });
    const more = lines.length > MOST_LINES ? [`and ${lines.length - MOST_LINES} more`] : [];
    this.changes.textContent = [...lines.slice(0, MOST_LINES), ...more].join(" · ");
  }
}
