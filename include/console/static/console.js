// Draws the charts, follows Airflow's theme, and opens links to Airflow in Airflow's own window.
"use strict";

const root = document.documentElement;

// Airflow shows this page in a frame of the same origin; on its own, the page follows the system.
const host = (() => {
  try {
    return window.parent !== window && window.parent.document ? window.parent : null;
  } catch {
    return null;
  }
})();

function followTheme() {
  if (!host) {
    const system = matchMedia("(prefers-color-scheme: dark)");
    const read = () => { root.dataset.theme = system.matches ? "dark" : "light"; };
    read();
    system.addEventListener("change", read);
    return;
  }
  const outer = host.document.documentElement;
  const read = () => {
    const dark = outer.classList.contains("dark") || outer.dataset.theme === "dark";
    root.dataset.theme = dark ? "dark" : "light";
  };
  read();
  new MutationObserver(read).observe(outer, { attributes: true, attributeFilter: ["class", "data-theme"] });
}

// The frame is sandboxed and may not navigate the window around it: a link of that window does.
function openInAirflow(event) {
  const link = event.target.closest("a[data-airflow]");
  if (!link || !host) return;
  event.preventDefault();
  const outer = host.document.createElement("a");
  outer.href = link.href;
  if (event.ctrlKey || event.metaKey || event.shiftKey) {
    outer.target = "_blank";
    outer.rel = "noopener";
  }
  host.document.body.append(outer);
  outer.click();
  outer.remove();
}

// "--accent" anywhere in a figure stands for the value of that property.
function coloured(part, style) {
  if (typeof part === "string") {
    return part.startsWith("--") ? style.getPropertyValue(part).trim() : part;
  }
  if (Array.isArray(part)) return part.map((item) => coloured(item, style));
  if (part && typeof part === "object") {
    return Object.fromEntries(Object.entries(part).map(([key, item]) => [key, coloured(item, style)]));
  }
  return part;
}

function draw() {
  if (!window.Plotly) return;
  const style = getComputedStyle(root);
  for (const plot of document.querySelectorAll(".plot")) {
    const figure = JSON.parse(plot.parentElement.querySelector("script[type='application/json']").textContent);
    figure.layout.font = { ...figure.layout.font, family: style.getPropertyValue("--sans") };
    const drawn = coloured(figure, style);
    window.Plotly.react(plot, drawn.data, drawn.layout, { displayModeBar: false, responsive: true });
  }
}

followTheme();
document.addEventListener("click", openInAirflow);
document.addEventListener("DOMContentLoaded", draw);
new MutationObserver(draw).observe(root, { attributes: true, attributeFilter: ["data-theme"] });
