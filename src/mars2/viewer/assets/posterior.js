// Posteriors of arms as curves. Beta(a, b) is drawn over [0, 1]; the Gaussian arm's mean follows a
// Student t with (place, scale, degrees of freedom). Both are summed where they are smooth:
// x = sin² φ for Beta with a, b ≥ 1/2, x = place + scale tan φ for t.

import { el, short } from "./text.js";

const POINTS = 1200;
const SVG = "http://www.w3.org/2000/svg";

/** {mean, low, high, density}: low and high leave 2.5 % on each side; density is of x. */
export function summary(kind, numbers) {
  const [xs, masses] = kind === "beta" ? betaMasses(...numbers) : studentMasses(...numbers);
  const total = masses.reduce((sum, mass) => sum + mass, 0);
  let sum = 0;
  let [low, high] = [xs[0], xs.at(-1)];
  for (let i = 0; i < xs.length; i++) {
    const next = sum + masses[i] / total;
    if (sum < 0.025 && next >= 0.025) low = xs[i];
    if (sum < 0.975 && next >= 0.975) high = xs[i];
    sum = next;
  }
  const mean = kind === "beta" ? numbers[0] / (numbers[0] + numbers[1]) : numbers[0];
  const shares = masses.map((mass) => mass / total);
  return { mean, low, high, xs, shares };
}

function betaMasses(a, b) {
  const xs = [];
  const logs = [];
  for (let i = 0; i < POINTS; i++) {
    const angle = ((i + 0.5) / POINTS) * (Math.PI / 2);
    const [s, c] = [Math.sin(angle), Math.cos(angle)];
    xs.push(s * s);
    logs.push((2 * a - 1) * Math.log(s) + (2 * b - 1) * Math.log(c));
  }
  const top = Math.max(...logs);
  return [xs, logs.map((log) => Math.exp(log - top))];
}

function studentMasses(place, scale, freedom) {
  const xs = [];
  const masses = [];
  for (let i = 0; i < POINTS; i++) {
    const t = Math.tan(((i + 0.5) / POINTS - 0.5) * Math.PI);
    xs.push(place + scale * t);
    masses.push((1 + (t * t) / freedom) ** (-(freedom + 1) / 2) * (1 + t * t));
  }
  return [xs, masses];
}

/** A small picture of a posterior over [from, to], with its mean. */
export function curve(found, from, to) {
  const [width, height, bins] = [140, 24, 56];
  const density = new Array(bins).fill(0);
  for (let i = 0; i < found.xs.length; i++) {
    const bin = Math.floor(((found.xs[i] - from) / (to - from)) * bins);
    if (bin >= 0 && bin < bins) density[bin] += found.shares[i];
  }
  // Halves of neighbours smooth what the bins cut.
  const smooth = density.map((d, i) => d / 2 + ((density[i - 1] ?? d) + (density[i + 1] ?? d)) / 4);
  const top = Math.max(...smooth) || 1;
  const step = width / (bins - 1);
  const at = smooth.map((d, i) => `${(i * step).toFixed(1)},${(height - (d / top) * 21).toFixed(1)}`);
  const svg = svgElement("svg", { viewBox: `0 0 ${width} ${height}`, class: "curve" });
  svg.setAttribute("aria-hidden", "true");
  const points = `0,${height} ${at.join(" ")} ${width},${height}`;
  svg.append(svgElement("polygon", { points, class: "area" }));
  const x = (((found.mean - from) / (to - from)) * width).toFixed(1);
  svg.append(svgElement("line", { x1: x, x2: x, y1: 0, y2: height, class: "mean" }));
  return svg;
}

function svgElement(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** A table row of one arm: name, curve, mean, interval, parameters. */
export function armRow(name, kind, numbers, chosen) {
  const found = summary(kind, numbers);
  const [from, to] = kind === "beta" ? [0, 1] : [-0.5, 1.5];
  const letters = kind === "beta" ? `Beta(${numbers.map(short).join(", ")})` : student(numbers);
  return el(
    "tr",
    { class: chosen ? "chosen" : null },
    el("th", { scope: "row" }, name, chosen ? el("span", { class: "note" }, " taken") : null),
    el("td", {}, curve(found, from, to)),
    el("td", { class: "number" }, found.mean.toFixed(3)),
    el("td", { class: "number" }, `${found.low.toFixed(2)} – ${found.high.toFixed(2)}`),
    el("td", { class: "note" }, letters),
  );
}

function student([place, scale, freedom]) {
  return `t(${short(place)}, ${short(scale)}; ${short(freedom)})`;
}

/** A row of numbers that are no posterior: UCB1 scores, edges of PUCT. */
export function numberRow(name, text, chosen) {
  return el(
    "tr",
    { class: chosen ? "chosen" : null },
    el("th", { scope: "row" }, name, chosen ? el("span", { class: "note" }, " taken") : null),
    el("td", { colspan: 4 }, text),
  );
}
