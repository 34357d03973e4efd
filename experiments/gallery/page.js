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

function shown(value) {
  if (value === null || value === undefined) return "not finite";
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return value.toLocaleString("en").replace("-", "−");
  return String(Number(value.toPrecision(4))).replaceAll("-", "−");
}

const interval = ([, mean, half]) => shown(mean) + (mean !== null && half !== null ? ` ± ${Number(half.toPrecision(2))}` : "");
const plain = (name) => name.replaceAll("_", " ");
const colour = (k) => `k${k % COLOURS}`;
const dash = (k) => DASHES[k % DASHES.length];

// What differs

function facts(run) {
  return { application: run.application, ...run.config, ...run.facts };
}

function differences(picked) {
  const all = picked.map(facts);
  const names = [...new Set(all.flatMap(Object.keys))];
  return names.filter((name) => new Set(all.map((one) => one[name])).size > 1)
    .map((name) => [name, ...all.map((one) => one[name] ?? "—")]);
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
  const found = picked.map((run) => run.metrics.find((one) => one[0] === name));
  const published = found.find((one) => one && one[4] !== null)?.[4] ?? null;
  const values = known(found.flatMap((one) => (one ? [one[1], ...one[3], published,
    ...(one[1] !== null && one[2] !== null ? [one[1] - one[2], one[1] + one[2]] : [])] : [])));
  const height = 22 * picked.length + 26;
  const svg = make("svg", { viewBox: `0 0 340 ${height}`, role: "img", "aria-label": plain(name) + ": " + found.map((one, k) =>
    `${k + 1}: ${one ? interval(one) : "none"}`).join("; ") + (published !== null ? `; published ${shown(published)}` : "") });
  if (values.length) {
    const x = axis(values, 14, 326, false);
    for (const value of x.ticks) {
      svg.append(make("path", { class: "grid", d: `M${x.place(value)} 2V${height - 20}` }),
        make("text", { class: "tick x", x: x.place(value), y: height - 5 }, shown(value)));
    }
    if (published !== null) svg.append(make("path", { class: "published", d: `M${x.place(published)} 0V${height - 20}` }));
    found.forEach((one, k) => one && one[1] !== null && svg.append(row(one, k, x)));
  }
  const texts = found.map((one, k) => make("span", { class: `colour ${colour(k)}` }, `${k + 1}: ${one ? interval(one) : "—"} `));
  if (published !== null) texts.push(make("span", { class: "quieter" }, `published ${shown(published)}`));
  return make("figure", { class: "panel" }, make("figcaption", {}, plain(name)), svg, make("p", { class: "values" }, ...texts));
}

function row([, mean, half, seeds], k, x) {
  const y = 14 + 22 * k;
  const group = make("g", { class: colour(k) });
  for (const seed of known(seeds)) group.append(make("circle", { class: "dot thin", cx: x.place(seed), cy: y, r: 3 }));
  if (half !== null) group.append(make("path", { class: "line", d: `M${x.place(mean - half)} ${y}H${x.place(mean + half)}` }));
  group.append(make("circle", { class: "dot", cx: x.place(mean), cy: y, r: 5 }));
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
  const names = [...new Set(picked.flatMap((run) => run.metrics.map((one) => one[0])))];
  const shared = (name) => picked.filter((run) => run.metrics.some((one) => one[0] === name)).length;
  names.sort((one, other) => shared(other) - shared(one));
  const panels = (all, otherwise) => all.length ? make("div", { class: "panels" }, ...all) : make("p", {}, otherwise);
  return [key, make("h3", {}, "What differs"),
    differ.length ? table("Flags and facts that differ", ["", ...picked.map((_, k) => `run ${k + 1}`)], differ)
      : make("p", {}, "No flag differs."),
    make("h3", {}, "Learning curves"), panels(curves, "None of them has a curve."),
    make("h3", {}, "Metrics, mean and 95% interval; faint: each seed"),
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

for (const box of boxes) box.addEventListener("change", count);
at("clear").addEventListener("click", () => { clear(); at("content").focus({ preventScroll: true }); });
at("close").addEventListener("click", () => at("comparison").close());
at("compare").addEventListener("click", () => {
  at("compared").replaceChildren(...compare(picked()));
  at("comparison").showModal();
  at("comparison").scrollTop = 0;
  at("comparison-title").focus();
});

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
