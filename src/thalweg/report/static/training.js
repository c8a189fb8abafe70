/** The pages of a training's steps, one after another: what is selected in one stays selected. */

const files = JSON.parse(document.getElementById("data").textContent);
const slider = /** @type {HTMLInputElement} */ (document.getElementById("slider"));
const frame = /** @type {HTMLIFrameElement} */ (document.getElementById("frame"));
const shown = document.getElementById("shown");
/** What the reader has chosen in the page below. */
let fragment = location.hash;

function show() {
  const { step, file } = files[slider.valueAsNumber];
  shown.textContent = `${step} of ${files[files.length - 1].step}`;
  slider.setAttribute("aria-valuetext", `step ${step}`);
  delete document.documentElement.dataset.ready;
  frame.contentWindow.location.replace(file + fragment);
}

frame.addEventListener("load", () => {
  document.documentElement.dataset.ready = "true";
});

window.addEventListener("message", ({ source, data }) => {
  if (source === frame.contentWindow && typeof data?.fragment === "string") fragment = data.fragment;
});

slider.max = String(files.length - 1);
slider.addEventListener("input", show);
show();

export {};
