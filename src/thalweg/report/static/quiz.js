/** The quiz: the backward pass with the next gradient hidden; the reader types it. */

import { gradientSymbol } from "./equations.js";
import { entriesOf, entry, indexOf, shapeOf, toNumber } from "./format.js";
import { equation, html } from "./math.js";

/** A different entry of each array is asked for. */
const STRIDE = 7919;
/** What differs by less than this part is right: three digits are enough. */
const NEAR = 0.005;

/** Whether `typed` is the number, to the digits that one would write. */
export function isRight(typed, number) {
  if (Number.isNaN(number)) return Number.isNaN(typed);
  if (!Number.isFinite(number) || typed === number) return typed === number;
  return Math.abs(typed - number) <= Math.max(NEAR * Math.abs(number), 1e-12);
}

function numberOf(text) {
  const word = text.trim().toLowerCase();
  if (word === "nan") return NaN;
  return /^[-+]?inf$/.test(word) ? toNumber(word.replace("+", "")) : Number(word || "x");
}

export class Quiz {
  /** `go` is called with the step to go to, or null when it ends. */
  constructor(graph, steps, element, go) {
    this.graph = graph;
    this.steps = steps;
    this.element = element;
    this.go = go;
    this.step = null;
    /** Whether each question was answered at the first try, by its step. */
    this.tries = new Map();
  }

  /** Where the quiz begins: at this node, or at the first gradient that is not given. */
  first(id) {
    const { steps } = this;
    for (let step = 0; step < steps.count; step += 1) {
      const node = this.askedAt(step);
      if (node && (id === null || node.id === id)) return step;
    }
    return id === null ? null : this.first(null);
  }

  /** The node whose gradient is asked for at a step: it comes next. */
  askedAt(step) {
    if (step === null || step >= this.steps.count) return null;
    const { node: id, pass } = this.steps.event(step + 1);
    const node = this.graph.nodes[id];
    const known = node.output && !node.consumers.length;
    const entries = pass === "backward" && !known ? entriesOf(node.upstream) : null;
    return entries?.length && typeof entries[0] !== "object" ? node : null;
  }

  /** From a step on, forward or back, to the next one with a question; null at the end. */
  onward(step, by) {
    for (let at = step + by; at >= 0 && at < this.steps.count; at += by) if (this.askedAt(at)) return at;
    return null;
  }

  /** Show the question of this step; null: there is no quiz. */
  show(step) {
    const node = this.askedAt(step);
    this.element.hidden = !node;
    if (!node || step === this.step) {
      this.step = node ? step : null;
      return;
    }
    this.step = step;
    const entries = entriesOf(node.upstream);
    const at = (step * STRIDE) % entries.length;
    this.at = at;
    this.field = html("input", { id: "quiz-answer", type: "text", inputmode: "decimal", autocomplete: "off",
      "aria-label": "the gradient" });
    this.said = html("p", { id: "quiz-said", role: "status" });
    const check = html("button", { id: "quiz-check" }, "check");
    const reveal = html("button", { id: "quiz-reveal" }, "show");
    const end = html("button", { id: "quiz-end", title: "no quiz (q)" }, "end");
    const line = equation(gradientSymbol(this.graph, node));
    line.append(shapeOf(node.upstream).length ? ` at [${indexOf(at, shapeOf(node.upstream)).join(", ")}] = ` : " = ");
    this.element.replaceChildren(html("h2", {}, "Quiz: which gradient arrives here?"),
      html("div", { class: "fields" }, line, this.field, check, reveal, end), this.said);
    this.field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.check();
      if (event.key !== "Escape") event.stopPropagation();
    });
    check.addEventListener("click", () => this.check());
    reveal.addEventListener("click", () => this.reveal());
    end.addEventListener("click", () => this.go(null));
    this.field.focus({ preventScroll: true });
  }

  answer() {
    return toNumber(entriesOf(this.askedAt(this.step).upstream)[this.at]);
  }

  check() {
    this.field.select();
    const typed = numberOf(this.field.value);
    if (Number.isNaN(typed) && this.field.value.trim().toLowerCase() !== "nan") {
      this.say("Type a number.");
    } else if (isRight(typed, this.answer())) {
      if (!this.tries.has(this.step)) this.tries.set(this.step, true);
      this.next("Right");
    } else {
      this.tries.set(this.step, false);
      const sums = this.askedAt(this.step).consumers.length > 1;
      this.say(`Not ${entry(typed)}. ${sums ? "The sum, over all that use it, of their" : "Its user's"} gradient times the local gradient on the wire${isRight(-typed, this.answer()) ? "; look at the sign" : ""}.`);
    }
  }

  reveal() {
    this.tries.set(this.step, false);
    this.next(`It is ${entry(this.answer())}`);
  }

  /** On to the next question, with a word on this one. */
  next(word) {
    const right = [...this.tries.values()].filter(Boolean).length;
    const score = `${word}. ${right} of ${this.tries.size} at the first try.`;
    const onward = this.onward(this.step, 1);
    if (onward === null) {
      this.go(null);
      this.step = null;
      this.element.hidden = false;
      this.element.replaceChildren(html("h2", {}, "Quiz"), html("p", { id: "quiz-said", role: "status" }, `${score} That was the last one.`));
      return;
    }
    this.go(onward);
    this.say(score);
  }

  say(text) {
    this.said.textContent = text;
  }
}
