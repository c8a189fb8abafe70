/** The playground: an expression and values go to the local server, the explorer comes back. */

import { html } from "./math.js";

/** Milliseconds after the last key until it is computed. */
const PAUSE = 120;
/** Parts that are no variables. */
const EXPRESSION = ":expression";
const UPSTREAM = ":upstream";
const EXAMPLES = [
  ["(x + y) * z", { x: "-2", y: "5", z: "-4" }],
  ["1 / (1 + exp(-(w0*x0 + w1*x1 + w2)))", { w0: "2", x0: "-1", w1: "-3", x1: "-2", w2: "-3" }],
  ["sum(maximum(W @ x + b, 0) ** 2)", { W: "[[0.1, 0.5], [-0.3, 0.8]]", x: "[0.2, 0.4]", b: "[0.1, -0.2]" }],
  ["p = exp(s) / sum(exp(s)); loss = -log(p[0])", { s: "[1, 2, 0.5]" }],
];

/** @returns {any} an element of playground.html */
const element = (id) => document.getElementById(id);
const token = new URLSearchParams(location.search).get("token");
const expression = element("expression");
/** The fields of values, by their names; those of names that are gone keep their text. */
const fields = new Map();
let timer = 0;
let asking = null;
/** The page that is shown, the labels of its nodes, and what is chosen in it. */
const current = { frame: null, labels: [], fragment: "" };

function fieldOf(name) {
  if (!fields.has(name)) {
    const field = html("input", { id: `value-${name}`, type: "text", value: name === UPSTREAM ? "" : "1",
      autocomplete: "off", spellcheck: "false", maxlength: 4000, "aria-describedby": `error-${name}` });
    const error = html("pre", { id: `error-${name}`, role: "alert", hidden: "" });
    const label = name === UPSTREAM ? "gradient at the output" : name;
    const box = html("div", {}, html("label", {}, label, field), error);
    field.addEventListener("input", soon);
    fields.set(name, { box, field, error });
  }
  return fields.get(name);
}

/** Fields for these names, in their order; one that is typed in is not moved. */
function showFields(names) {
  const boxes = names.map((name) => fieldOf(name).box);
  const shown = [...element("values").children];
  if (boxes.length !== shown.length || boxes.some((box, i) => box !== shown[i])) element("values").replaceChildren(...boxes);
}

function shownNames() {
  return [...fields].filter(([, { box }]) => box.isConnected).map(([name]) => name);
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE);
}

/** The carets of an error right under the field, where the whole text stands in it. */
function underneath(text, written) {
  const [message, line, carets] = text.split("\n");
  if (carets === undefined || line !== `  ${written}`) return text;
  return `${carets.slice(2)}\n${message}`;
}

/** An error at the part that it is in; none anywhere else. */
function tellAt(part, text) {
  const places = [[EXPRESSION, { field: expression, error: element("error-expression") }], ...fields];
  const known = places.some(([name, { field }]) => name === part && field.isConnected);
  for (const [name, { field, error }] of places) {
    const here = text !== null && name === (known ? part : EXPRESSION);
    error.hidden = !here;
    error.textContent = here ? underneath(text, field.value) : "";
    field.setAttribute("aria-invalid", String(here));
  }
  element("graph").classList.toggle("old", text !== null);
}

/** What was chosen in the last page, for one whose nodes have these labels. */
function carried(labels) {
  const given = new URLSearchParams(current.fragment.replace(/^#/, ""));
  // The fields above are what the inputs are now, and a question was about other numbers.
  for (const key of ["what", "quiz"]) given.delete(key);
  if (labels.join("\n") === current.labels.join("\n")) return `${given}`;
  for (const key of [...given.keys()]) {
    if (["heat", "theme"].includes(key)) continue;
    const id = ["node", "other"].includes(key) ? labels.indexOf(current.labels[Number(given.get(key))]) : -1;
    if (id < 0) given.delete(key);
    else given.set(key, String(id));
  }
  return `${given}`;
}

window.addEventListener("message", ({ source, data }) => {
  if (source === current.frame?.contentWindow && typeof data?.fragment === "string") current.fragment = data.fragment;
});

/** The page comes in behind the one that is there, and takes its place when it is drawn. */
function put(page, labels) {
  for (const frame of document.querySelectorAll("iframe.coming")) frame.remove();
  const frame = html("iframe", { class: "coming", title: "the graph", sandbox: "allow-scripts allow-downloads" });
  frame.addEventListener("load", () => {
    for (const other of document.querySelectorAll("iframe")) if (other !== frame) other.remove();
    frame.classList.remove("coming");
    const fragment = carried(labels);
    Object.assign(current, { frame, labels, fragment });
    if (fragment) /** @type {HTMLIFrameElement} */ (frame).contentWindow.postMessage({ fragment, window: true }, "*");
  });
  /** @type {HTMLIFrameElement} */ (frame).srcdoc = page;
  element("graph").append(frame);
}

async function ask() {
  asking?.abort();
  const mine = new AbortController();
  asking = mine;
  const values = Object.fromEntries([...fields].filter(([name]) => name !== UPSTREAM).map(([name, { field }]) => [name, field.value]));
  const upstream = fields.get(UPSTREAM)?.box.isConnected ? fields.get(UPSTREAM).field.value : "";
  remember();
  try {
    const response = await fetch("/trace", { method: "POST", signal: mine.signal,
      headers: { "Content-Type": "application/json", "X-Thalweg-Token": token },
      body: JSON.stringify({ expression: expression.value, values, upstream }) });
    const answer = response.ok ? await response.json() : { variables: shownNames(), error: await response.text(), part: EXPRESSION };
    if (mine === asking) take(answer);
  } catch (error) {
    if (error.name !== "AbortError" && mine === asking) tellAt(EXPRESSION, "the playground in the terminal has ended");
  }
}

function take(answer) {
  const { variables, error, part, page, labels, output, backward } = answer;
  if (error !== undefined) {
    if (variables.length) showFields([...variables, ...shownNames().filter((name) => name === UPSTREAM)]);
    tellAt(part, error);
    return;
  }
  const asks = !backward || fields.get(UPSTREAM)?.field.value;
  showFields(asks ? [...variables, UPSTREAM] : variables);
  tellAt(EXPRESSION, null);
  element("output").textContent = `= ${output}`;
  element("hint").hidden = backward;
  put(page, labels);
}

/** What is typed stands in the address, so that a reload brings it back. */
function remember() {
  const given = new URLSearchParams({ e: expression.value });
  for (const name of shownNames()) given.set(`v.${name}`, fields.get(name).field.value);
  history.replaceState(null, "", `#${given}`);
}

function start(text, values) {
  expression.value = text;
  for (const [name, value] of Object.entries(values)) fieldOf(name).field.value = value;
  ask();
}

for (const [text, values] of EXAMPLES) {
  const button = html("button", { type: "button" }, text);
  button.addEventListener("click", () => start(text, values));
  element("examples").append(button);
}
expression.addEventListener("input", soon);
const given = new URLSearchParams(location.hash.slice(1));
if (given.has("e")) {
  start(given.get("e"), Object.fromEntries([...given].filter(([key]) => key.startsWith("v.")).map(([key, text]) => [key.slice(2), text])));
} else {
  start(...EXAMPLES[0]);
}
expression.focus();
