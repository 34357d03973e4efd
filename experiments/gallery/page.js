"use strict";
// Comparing runs, and the theme. Whatever comes from a run directory becomes text by textContent, and nothing else.

const runs = new Map(JSON.parse(document.getElementById("runs").textContent).map((run) => [run.key, run]));
const boxes = [...document.querySelectorAll(".pick input")];
const at = (id) => document.getElementById(id);
const COLOURS = 6;
const DASHES = ["none", "7 3", "2 3", "9 3 2 3", "12 4", "1 4"];

function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "g", "text", "circle", "title", "line"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// As in words.py
function shown(value) {
  if (value === null || value === undefined) return "not finite";
  if (value === 0) return "0";
  const power = Number(value.toExponential(6).split("e")[1]);
  if (power >= -4 && power < 7) {
    const [whole, decimals] = String(Number(value.toFixed(Math.max(0, 3 - power)))).split(".");
    return (whole.replace(/\B(?=(\d{3})+$)/g, ",") + (decimals ? `.${decimals}` : "")).replace("-", "−");
  }
  const mantissa = shown(value / 10 ** power);
  const ten = "10" + [...String(power)].map((one) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[one] ?? "⁻").join("");
  return mantissa === "1" ? ten : `${mantissa}·${ten}`;
}

const plain = (name) => name.replaceAll("_", " ");
const colour = (k) => `k${k % COLOURS}`;
const dash = (k) => DASHES[k % DASHES.length];

// What differs

function differences(picked) {
  const parts = [picked.map((run) => ({ application: run.application, ...run.config })), picked.map((run) => run.facts)];
  return parts.flatMap((all) => [...new Set(all.flatMap(Object.keys))]
    .filter((name) => new Set(all.map((one) => one[name])).size > 1)
    .map((name) => [name, ...all.map((one) => one[name] ?? "—")]));
}

function table(caption, head, rows) {
  const cells = (row) => row.map((cell, k) => make(k ? "td" : "th", k ? {} : { scope: "row" }, cell));
  return make("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" }, make("table", { class: "differs" },
    make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...head.map((cell) => make("th", { scope: "col" }, cell)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...cells(row))))));
}

// Axes

function axis(values, from, to, logarithmic) {
  const scale = logarithmic ? Math.log10 : (value) => value;
  let [low, high] = [scale(Math.min(...values)), scale(Math.max(...values))];
  const margin = 0.04 * (high - low || Math.abs(high) || 1);
  [low, high] = [low - margin, high + margin];
  const place = (value) => from + ((scale(value) - low) / (high - low)) * (to - from);
  return { place, ticks: logarithmic ? decades(low, high) : ticks(low, high) };
}

function ticks(low, high) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((size) => size * power).find((size) => size >= rough * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}

function decades(low, high) {
  const found = [];
  for (let power = Math.ceil(low); power <= high; power++) found.push(10 ** power);
  const every = Math.ceil(found.length / 6) || 1;
  return found.filter((_, k) => k % every === 0);
}

const known = (values) => values.filter((value) => value !== null);

// Curves, one over the other

function path(steps, values, x, y) {
  let drawn = "", broken = true;
  values.forEach((value, k) => {
    if (value !== null) drawn += `${broken ? "M" : "L"}${x.place(steps[k]).toFixed(1)} ${y.place(value).toFixed(1)}`;
    broken = value === null;
  });
  return drawn;
}

function overlay(stage, metric, picked) {
  const found = picked.map((run) => run.curves.find((one) => one.stage === stage && one.metric === metric));
  const values = known(found.flatMap((one) => (one ? [...one.mean, ...one.seeds.flat()] : [])));
  if (!values.length) return null;
  const low = Math.min(...values);
  const logarithmic = low > 0 && Math.max(...values) / low > 30;
  const x = axis([0, ...found.flatMap((one) => (one ? one.steps : []))], 56, 328, false);
  const y = axis(values, 180, 10, logarithmic);
  const words = found.map((one, k) => (one ? `${k + 1}: ends at ${shown(known(one.mean).at(-1))}` : `${k + 1}: none`)).join("; ");
  const svg = make("svg", { viewBox: "0 0 340 220", role: "img", "aria-label": `${plain(metric)}, ${stage}. ${words}` });
  for (const value of y.ticks) {
    svg.append(make("path", { class: "grid", d: `M56 ${y.place(value)}H328` }),
      make("text", { class: "tick y", x: 50, y: y.place(value) + 4 }, shown(value)));
  }
  for (const value of x.ticks.filter((one) => one >= 0)) {
    svg.append(make("text", { class: "tick x", x: x.place(value), y: 196 }, shown(value)));
  }
  svg.append(make("text", { class: "tick x", x: 192, y: 214 }, `step (${stage})`));
  found.forEach((one, k) => {
    if (!one) return;
    const group = make("g", { class: colour(k) });
    for (const seed of one.seeds) group.append(make("path", { class: "line thin", d: path(one.steps, seed, x, y) }));
    group.append(make("path", { class: "line", "stroke-dasharray": dash(k), d: path(one.steps, one.mean, x, y) }));
    svg.append(group);
  });
  const unit = found.find((one) => one)?.unit;
  const title = [plain(metric), unit, logarithmic ? "logarithmic" : ""].filter(Boolean).join(", ");
  return make("figure", { class: "panel" }, make("figcaption", {}, title), svg);
}

// Metrics, as a forest of intervals

function forest(name, picked) {
  const found = picked.map((run) => run.metrics.find((one) => one.name === name));
  const values = known(found.flatMap((one) => (one ? [one.mean, ...one.seeds, ...one.ends, one.reference] : [])));
  const words = found.map((one, k) => `${k + 1}: ${one ? one.words : "none"}`);
  const height = 22 * picked.length + 26;
  const svg = make("svg", { viewBox: `0 0 340 ${height}`, role: "img", "aria-label": `${plain(name)}: ${words.join("; ")}` });
  if (values.length) {
    const x = axis(values, 14, 326, false);
    for (const value of x.ticks) {
      svg.append(make("path", { class: "grid", d: `M${x.place(value)} 2V${height - 20}` }),
        make("text", { class: "tick x", x: x.place(value), y: height - 5 }, shown(value)));
    }
    found.forEach((one, k) => one && svg.append(row(one, k, x)));
  }
  const texts = words.map((word, k) => make("span", { class: `colour ${colour(k)}` }, `${word} `));
  return make("figure", { class: "panel" }, make("figcaption", {}, plain(name)), svg, make("p", { class: "values" }, ...texts));
}

function row(one, k, x) {
  const y = 14 + 22 * k;
  const group = make("g", { class: colour(k) });
  if (one.reference !== null) group.append(make("path", { class: "reference", d: `M${x.place(one.reference)} ${y - 11}v22` }));
  for (const seed of known(one.seeds)) group.append(make("circle", { class: "dot thin", cx: x.place(seed), cy: y, r: 3 }));
  if (one.ends.length) group.append(make("path", { class: "line", d: `M${x.place(one.ends[0])} ${y}H${x.place(one.ends[1])}` }));
  if (one.mean !== null) group.append(make("circle", { class: "dot", cx: x.place(one.mean), cy: y, r: 5 }));
  return group;
}

// The comparison

function compare(picked) {
  const key = make("ol", { class: "key" }, ...picked.map((run, k) => make("li", { class: colour(k) },
    make("svg", { viewBox: "0 0 40 10", "aria-hidden": "true" }, make("path", { class: "line", "stroke-dasharray": dash(k), d: "M1 5H39" })),
    make("span", {}, `${k + 1}: ${run.application}, ${run.name}`))));
  const differ = differences(picked);
  const pairs = new Map(picked.flatMap((run) => run.curves.map((one) => [JSON.stringify([one.stage, one.metric]), one])));
  const curves = [...pairs.values()].map((one) => overlay(one.stage, one.metric, picked)).filter(Boolean);
  const names = [...new Set(picked.flatMap((run) => run.metrics.map((one) => one.name)))];
  const shared = (name) => picked.filter((run) => run.metrics.some((one) => one.name === name)).length;
  names.sort((one, other) => shared(other) - shared(one));
  const panels = (all, otherwise) => all.length ? make("div", { class: "panels" }, ...all) : make("p", {}, otherwise);
  return [key, make("h3", {}, "What differs"),
    differ.length ? table("Flags and facts that differ", ["", ...picked.map((_, k) => `run ${k + 1}`)], differ)
      : make("p", {}, "No flag differs."),
    make("h3", {}, "Learning curves"), panels(curves, "None of them has a curve."),
    make("h3", {}, "Metrics, mean and 95% interval; faint: each seed; dashed: reference"),
    panels(names.map((name) => forest(name, picked)), "None of them has a metric.")];
}

const picked = () => boxes.filter((box) => box.checked).map((box) => runs.get(box.value)).filter(Boolean);

function count() {
  const many = picked().length;
  at("tray").hidden = many === 0;
  at("compare").disabled = many < 2;
  at("picked").textContent = many === 1 ? "1 run picked; pick another" : `${many} runs picked`;
  at("said").textContent = at("picked").textContent;
}

function clear() {
  for (const box of boxes) box.checked = false;
  count();
}

// The tray lies at the bottom of the window, and for the keyboard right behind the box that was changed last
let last = at("content");
for (const box of boxes) {
  box.addEventListener("change", () => {
    last = box;
    box.closest(".pick").after(at("tray"));
    count();
  });
}
at("clear").addEventListener("click", () => { clear(); last.focus({ preventScroll: true }); });
at("close").addEventListener("click", () => at("comparison").close());
at("compare").addEventListener("click", () => {
  at("compared").replaceChildren(...compare(picked()));
  at("comparison").showModal();
  at("comparison").scrollTop = 0;
  at("comparison-title").focus();
});

// A formula that is wider than its box can be scrolled by the keyboard

const scrolls = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const wide = target.scrollWidth > target.clientWidth;
    for (const [name, value] of [["tabindex", "0"], ["role", "group"], ["aria-label", "Formula"]]) {
      if (wide) target.setAttribute(name, value);
      else target.removeAttribute(name);
    }
  }
});
for (const one of document.querySelectorAll(".formula")) scrolls.observe(one);

// Light and dark: the system's, until the button says otherwise

const system = matchMedia("(prefers-color-scheme: dark)");
const dark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";

function named() {
  at("theme").textContent = dark() ? "Light" : "Dark";
  at("theme").setAttribute("aria-label", `Change to ${dark() ? "light" : "dark"} colours`);
}

at("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = dark() ? "light" : "dark";
  named();
});
system.addEventListener("change", named);
at("theme").hidden = false;
document.documentElement.classList.add("scripted");
named();
count();
