/** Explorers side by side: what is chosen in one is chosen in the others. */

const frames = [...document.querySelectorAll("iframe")];

window.addEventListener("message", ({ source, data }) => {
  if (typeof data?.fragment !== "string" || !frames.some((frame) => frame.contentWindow === source)) return;
  for (const frame of frames) {
    if (frame.contentWindow !== source) frame.contentWindow.postMessage({ fragment: data.fragment }, "*");
  }
});
document.documentElement.dataset.ready = "true";

export {};
