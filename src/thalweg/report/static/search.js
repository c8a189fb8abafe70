/** The search field: names, gates and expressions; a list from which one is chosen. */

import { brief } from "./format.js";
import { html } from "./math.js";

const MOST_FOUND = 40;

export function matches(graph, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  const rank = (node) => (node.label.toLowerCase() === words.join(" ") ? 0
    : node.label.toLowerCase().startsWith(words[0]) ? 1 : 2);
  const found = graph.nodes.filter((node) => {
    const all = `${node.label} ${node.gate} ${node.expression}`.toLowerCase();
    return words.every((word) => all.includes(word));
  });
  return found.sort((a, b) => rank(a) - rank(b) || a.id - b.id).slice(0, MOST_FOUND);
}

export function startSearch(graph, field, list, onChoose) {
  let found = [];
  let at = 0;
  const show = () => {
    found = matches(graph, field.value);
    at = 0;
    list.replaceChildren(...found.map((node, i) => html("li", { role: "option", id: `found-${i}`, "data-index": i },
      `${node.label}   ${node.input ? "input" : node.gate}   ▸ ${brief(node.value)}`)));
    mark();
  };
  const mark = () => {
    list.hidden = !found.length;
    field.setAttribute("aria-expanded", String(found.length > 0));
    [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === at)));
    if (found.length) field.setAttribute("aria-activedescendant", `found-${at}`);
    else field.removeAttribute("aria-activedescendant");
    list.children[at]?.scrollIntoView({ block: "nearest" });
  };
  const close = () => {
    found = [];
    mark();
  };
  const choose = (i) => {
    const node = found[i];
    if (!node) return;
    field.value = "";
    close();
    onChoose(node.id);
  };
  field.addEventListener("input", show);
  field.addEventListener("blur", close);
  field.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      at = Math.min(Math.max(at + (event.key === "ArrowDown" ? 1 : -1), 0), found.length - 1);
      mark();
      event.preventDefault();
    } else if (event.key === "Enter") {
      choose(at);
    } else if (event.key === "Escape") {
      field.value = "";
      close();
      field.blur();
    }
    event.stopPropagation();
  });
  list.addEventListener("pointerdown", (event) => {
    event.preventDefault(); // the field keeps the focus until the choice is made
    const item = event.target.closest("li");
    if (item) choose(Number(item.dataset.index));
  });
}
