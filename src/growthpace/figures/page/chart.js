// The interactive curves: one canvas per ability, filters, hover, arrow keys, and the filters' state in the address.
"use strict";
(() => {
  const source = document.getElementById("chart-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const section = document.getElementById("curves");
  const byId = (id) => document.getElementById(id);
  const points = data.points, laws = data.laws, count = points.score.length;
  const DASHES = [[], [7, 3], [2, 2], [8, 3, 2, 3], [12, 4], [3, 2, 2, 2]];
  const CROWDED = 3000;  // points: dashes can no longer be told apart, and take longest to draw
  const NEAR = 26;  // pixels: the pointer need not be exact
  const GROUPS = { ability: data.abilities, model: data.models, source: data.sources };
  const shown = {
    ability: data.abilities.map(() => true), model: data.models.map(() => true),
    source: data.sources.map((entry) => !entry.mix),
  };
  const first = { ability: [...shown.ability], model: [...shown.model], source: [...shown.source] };
  const OPTIONS = ["corrected", "free", "plain"];
  const option = { corrected: false, free: false, plain: false };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const shade = (model) => data.models[model][dark.matches ? "dark" : "light"];
  const number = (value) => value.toLocaleString("en-US");
  const percent = (value) => (100 * value).toFixed(1).replace("-", "\u2212");

  // Curves by ability: the places of their points in the columns, from the smallest volume to the largest.
  const curves = data.abilities.map(() => new Map());
  for (let i = 0; i < count; i++) {
    const key = points.model[i] + "/" + points.source[i];
    const own = curves[points.ability[i]];
    if (!own.has(key)) own.set(key, { model: points.model[i], source: points.source[i], places: [], law: [] });
    own.get(key).places.push(i);
  }
  for (const own of curves) for (const curve of own.values()) curve.places.sort((a, b) => points.volume[a] - points.volume[b]);
  if (laws) {
    for (let i = 0; i < laws.score.length; i++) {
      const curve = curves[laws.ability[i]].get(laws.model[i] + "/" + laws.source[i]);
      if (curve && laws.score[i] !== null) curve.law.push(i);
    }
  }
  const volumes = points.volume.filter((volume) => volume > 0);
  const least = volumes.reduce((a, b) => Math.min(a, b), Infinity), most = volumes.reduce((a, b) => Math.max(a, b), 0);
  const untuned = points.volume.some((volume) => volume === 0);
  const leftmost = untuned ? least / 4 : least / 1.3, rightmost = most * 1.3;

  function corrected(value, chance) {
    if (value === null) return null;
    return option.corrected ? (value - chance) / (1 - chance) : value;
  }
  const at = (name, i) => corrected(points[name][i], points.chance[i]);
  const visible = (curve) => shown.model[curve.model] && (curve.source < 0 || shown.source[curve.source]);

  // Controls
  function swatch(kind, place) {
    const canvas = document.createElement("canvas");
    canvas.width = 68; canvas.height = 28; canvas.className = "swatch"; canvas.setAttribute("aria-hidden", "true");
    const paint = () => {
      const pen = canvas.getContext("2d");
      pen.setTransform(2, 0, 0, 2, 0, 0); pen.clearRect(0, 0, 34, 14);
      const colour = kind === "model" ? shade(place) : getComputedStyle(section).getPropertyValue("--ink");
      pen.strokeStyle = pen.fillStyle = colour; pen.lineWidth = 2;
      if (kind === "source" && data.sources[place].mix) { mark(pen, 17, 7, 4, 9); pen.stroke(); return; }
      if (kind === "source") pen.setLineDash(DASHES[place % DASHES.length]);
      pen.beginPath(); pen.moveTo(1, 7); pen.lineTo(33, 7); pen.stroke();
      if (kind === "model") { pen.beginPath(); mark(pen, 17, 7, 4, place); pen.fill(); }
    };
    paint(); dark.addEventListener("change", paint);
    return canvas;
  }
  const boxes = { ability: [], model: [], source: [] };
  for (const [group, entries] of Object.entries(GROUPS)) {
    const field = byId("filter-" + group), list = field.querySelector(".choices");
    entries.forEach((entry, place) => {
      const label = document.createElement("label"), box = document.createElement("input");
      box.type = "checkbox"; box.checked = shown[group][place];
      box.addEventListener("change", () => { shown[group][place] = box.checked; changed(); });
      label.append(box);
      if (group !== "ability") label.append(swatch(group, place));
      label.append(" " + (entry.label || entry.name) + (entry.mix ? " (mix)" : entry.outside ? " (out of domain)" : ""));
      list.append(label); boxes[group].push(box);
    });
    if (!entries.length) field.hidden = true;
    for (const button of field.querySelectorAll("button[data-all]")) {
      button.addEventListener("click", () => {
        shown[group].fill(button.dataset.all === "yes");
        boxes[group].forEach((box, place) => { box.checked = shown[group][place]; });
        changed();
      });
    }
  }
  for (const name of OPTIONS) {
    const box = byId("option-" + name);
    if (!box) continue;
    box.addEventListener("change", () => { option[name] = box.checked; changed(); });
  }

  // The state in the address: what differs from the first view, so that a link stays right when the study grows.
  function address() {
    const said = [];
    for (const [group, entries] of Object.entries(GROUPS)) {
      entries.forEach((entry, place) => {
        if (shown[group][place] !== first[group][place]) {
          said.push((shown[group][place] ? "show-" : "hide-") + group + "=" + encodeURIComponent(entry.name));
        }
      });
    }
    for (const name of OPTIONS) if (option[name]) said.push(name + "=yes");
    return said.length ? "#curves?" + said.join("&") : "";
  }
  function restore() {
    if (!location.hash.startsWith("#curves?")) return false;
    for (const group of Object.keys(GROUPS)) shown[group] = [...first[group]];
    for (const name of OPTIONS) option[name] = false;
    for (const [key, value] of new URLSearchParams(location.hash.slice(8))) {
      const [way, group] = key.split("-");
      if (OPTIONS.includes(key)) option[key] = value === "yes";
      else if (GROUPS[group] && (way === "show" || way === "hide")) {
        const place = GROUPS[group].findIndex((entry) => entry.name === value);
        if (place >= 0) shown[group][place] = way === "show";
      }
    }
    for (const group of Object.keys(GROUPS)) boxes[group].forEach((box, place) => { box.checked = shown[group][place]; });
    for (const name of OPTIONS) if (byId("option-" + name)) byId("option-" + name).checked = option[name];
    return true;
  }
  let waiting = false;
  function changed(quietly) {
    hide();
    if (!quietly) history.replaceState(null, "", address() || location.pathname + location.search);
    if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; drawAll(); }); }
  }

  // Drawing
  function mark(pen, x, y, r, kind) {
    const corners = (...list) => {
      list.forEach(([a, b], n) => (n ? pen.lineTo(x + a * r, y + b * r) : pen.moveTo(x + a * r, y + b * r))); pen.closePath();
    };
    switch (kind % 8) {
      case 0: pen.moveTo(x + r, y); pen.arc(x, y, r, 0, 2 * Math.PI); break;
      case 1: pen.rect(x - 0.9 * r, y - 0.9 * r, 1.8 * r, 1.8 * r); break;
      case 2: corners([0, -1.15], [1.1, 0.8], [-1.1, 0.8]); break;
      case 3: corners([0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]); break;
      case 4: corners([0, 1.15], [1.1, -0.8], [-1.1, -0.8]); break;
      case 5: corners([-1.15, 0], [0.8, -1.1], [0.8, 1.1]); break;
      case 6: corners([1.15, 0], [-0.8, -1.1], [-0.8, 1.1]); break;
      default: pen.rect(x - 0.4 * r, y - 1.2 * r, 0.8 * r, 2.4 * r); pen.rect(x - 1.2 * r, y - 0.4 * r, 2.4 * r, 0.8 * r);
    }
  }
  const STAMP = 16, stamps = new Map();  // a marker is painted once and then copied: thousands of them stay quick
  function stamped(kind, colour, inside, radius, ratio) {
    const key = [kind, colour, inside, radius, ratio].join();
    if (!stamps.has(key)) {
      const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
      canvas.width = canvas.height = Math.round(STAMP * ratio);
      pen.scale(ratio, ratio); pen.fillStyle = inside; pen.strokeStyle = colour; pen.lineWidth = 1.8;
      pen.beginPath(); mark(pen, STAMP / 2, STAMP / 2, radius, kind); pen.fill();
      if (inside !== colour) pen.stroke();
      stamps.set(key, canvas);
    }
    return stamps.get(key);
  }
  const panels = data.abilities.map((ability, place) => {
    const figure = document.createElement("figure"), caption = document.createElement("figcaption");
    figure.className = "panel"; caption.textContent = ability.label;
    if (ability.outside) { const small = document.createElement("small"); small.textContent = " out of domain"; caption.append(small); }
    const canvas = document.createElement("canvas");
    canvas.tabIndex = 0; canvas.setAttribute("role", "application"); canvas.setAttribute("aria-roledescription", "chart");
    figure.append(caption, canvas); byId("panels").append(figure);
    return { place, figure, canvas, dots: [], at: null, order: [] };
  });
  const observer = new ResizeObserver(() => { if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; drawAll(); }); } });
  observer.observe(byId("panels"));
  dark.addEventListener("change", drawAll);

  function extent(list) {
    let low = Infinity, high = -Infinity;
    for (const panel of list) {
      for (const curve of curves[panel.place].values()) {
        if (!visible(curve)) continue;
        for (const i of curve.places) {
          low = Math.min(low, at("low", i) ?? at("score", i)); high = Math.max(high, at("high", i) ?? at("score", i));
          const chance = option.corrected ? 0 : points.chance[i];
          low = Math.min(low, chance); high = Math.max(high, chance);
        }
      }
    }
    if (low > high) return [0, 1];
    const room = Math.max(0.02, 0.04 * (high - low));
    return [low - room, high + room];
  }
  function steps(low, high, most) {
    const raw = (high - low) / most, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= raw), found = [];
    for (let tick = Math.ceil(low / step) * step; tick <= high + 1e-9; tick += step) found.push(tick);
    return found;
  }
  function drawAll() {
    const styles = getComputedStyle(section), ink = {};
    for (const name of ["ink", "soft", "line", "card"]) ink[name] = styles.getPropertyValue("--" + name).trim();
    const used = panels.filter((panel) => shown.ability[panel.place]);
    for (const panel of panels) panel.figure.hidden = !shown.ability[panel.place];
    byId("panels").classList.toggle("single", used.length === 1);
    const shared = option.free ? null : extent(used);
    const widths = used.map((panel) => panel.canvas.clientWidth);  // all sizes are read before anything is drawn
    let drawn = 0, total = 0;
    for (const panel of used) for (const curve of curves[panel.place].values()) if (visible(curve)) total += curve.places.length;
    used.forEach((panel, n) => { drawn += draw(panel, widths[n], shared || extent([panel]), ink, used.length === 1, total > CROWDED); });
    byId("chart-status").textContent = drawn ? `${number(drawn)} of ${number(count)} points are shown.` +
      (drawn > CROWDED ? " With so many, all lines are solid." : "")
      : "No point is shown: choose at least one ability, one model and one source.";
    byId("chart-scale").textContent = option.corrected ? "score above chance, % of what chance leaves" : "score, %";
    section.dataset.drawn = drawn;
    table(false);
  }
  function draw(panel, width, [low, high], ink, single, crowded) {
    const height = single ? Math.max(300, Math.min(460, width * 0.55)) : 210, ratio = Math.min(window.devicePixelRatio || 1, 2);
    const canvas = panel.canvas, pen = canvas.getContext("2d");
    canvas.style.height = height + "px"; canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.font = "12px system-ui, 'DejaVu Sans', sans-serif";
    const left = 40, right = width - 8, top = 8, bottom = height - 24;
    const x = (volume) => left + (right - left) * Math.log((volume || leftmost * 1.45) / leftmost) / Math.log(rightmost / leftmost);
    const y = (value) => bottom - (bottom - top) * (value - low) / (high - low);
    const whole = (value) => Math.round(value * ratio) / ratio;  // a pixel of the screen: copies need no blending there
    pen.lineWidth = 1; pen.textBaseline = "middle";
    for (const tick of steps(low, high, single ? 9 : 5)) {
      const place = Math.round(y(tick)) + 0.5;
      pen.strokeStyle = ink.line; pen.beginPath(); pen.moveTo(left, place); pen.lineTo(right, place); pen.stroke();
      pen.fillStyle = ink.soft; pen.textAlign = "right"; pen.fillText(String(Math.round(100 * tick)).replace("-", "\u2212"), left - 6, place);
    }
    pen.textAlign = "center"; pen.textBaseline = "top";
    const own = [...curves[panel.place].values()].filter(visible);
    const ticks = [...new Set(own.flatMap((curve) => curve.places.map((i) => points.volume[i])))].sort((a, b) => a - b);
    let end = -Infinity;
    for (const volume of ticks) {
      const text = volume ? number(volume) : "untuned", half = pen.measureText(text).width / 2;
      const place = Math.min(x(volume), right - half);
      pen.fillStyle = ink.line; pen.fillRect(x(volume) - 0.5, bottom, 1, 4);
      if (place - half < end + 6) continue;
      pen.fillStyle = ink.soft; pen.fillText(text, place, bottom + 7); end = place + half;
    }
    const chances = [...new Set(own.flatMap((curve) => curve.places.map((i) => (option.corrected ? 0 : points.chance[i]))))];
    pen.setLineDash([5, 4]); pen.strokeStyle = ink.soft;
    for (const chance of chances.slice(0, 8)) { pen.beginPath(); pen.moveTo(left, y(chance)); pen.lineTo(right, y(chance)); pen.stroke(); }
    pen.setLineDash([]);
    panel.dots = []; panel.order = own;
    const spread = Math.min(14, (right - left) / (6 * Math.max(1, ticks.length)));
    own.forEach((curve, n) => {
      const shift = own.length > 1 ? spread * (n / (own.length - 1) - 0.5) : 0, colour = shade(curve.model);
      const mix = curve.source >= 0 && data.sources[curve.source].mix, alone = curve.source < 0 || mix;
      const law = curve.law.length && !option.plain;
      pen.strokeStyle = pen.fillStyle = colour;
      if (law) {
        const chance = points.chance[curve.places[0]], line = curve.law, value = (name, i) => y(corrected(laws[name][i], chance));
        const band = line.filter((i) => laws.low[i] !== null && laws.high[i] !== null);
        pen.globalAlpha = 0.14; pen.beginPath();
        band.forEach((i, m) => (m ? pen.lineTo(x(laws.volume[i]), value("high", i)) : pen.moveTo(x(laws.volume[i]), value("high", i))));
        [...band].reverse().forEach((i) => pen.lineTo(x(laws.volume[i]), value("low", i)));
        pen.fill(); pen.globalAlpha = 1; pen.lineWidth = 2; pen.setLineDash(DASHES[curve.source % DASHES.length]); pen.beginPath();
        line.forEach((i, m) => (m ? pen.lineTo(x(laws.volume[i]), value("score", i)) : pen.moveTo(x(laws.volume[i]), value("score", i))));
        pen.stroke();
      } else if (!alone) {
        pen.lineWidth = crowded ? 1 : 1.6; pen.setLineDash(crowded ? [] : DASHES[curve.source % DASHES.length]); pen.beginPath();
        curve.places.forEach((i, m) => (m ? pen.lineTo(x(points.volume[i]) + shift, y(at("score", i))) : pen.moveTo(x(points.volume[i]) + shift, y(at("score", i)))));
        pen.stroke();
      }
      pen.setLineDash([]); pen.globalAlpha = 0.75;
      for (const i of curve.places) {
        if (points.low[i] === null || points.high[i] === null) continue;
        const place = whole(x(points.volume[i]) + shift), end = y(at("high", i));
        pen.fillRect(place, end, 1, y(at("low", i)) - end);  // on whole pixels, which is many times quicker than a line
      }
      pen.globalAlpha = 1;
      const side = Math.round(STAMP * ratio) / ratio, stamp = stamped(mix ? 9 : curve.model, colour, alone ? ink.card : colour, single ? 4.5 : 3.4, ratio);
      for (const i of curve.places) {
        const px = x(points.volume[i]) + shift, py = y(at("score", i));
        pen.drawImage(stamp, whole(px - STAMP / 2), whole(py - STAMP / 2), side, side); panel.dots.push([px, py, i, n]);
      }
    });
    canvas.setAttribute("aria-label", `${data.abilities[panel.place].label}: ${panel.dots.length} points of ${own.length} curves. ` +
      "Left and right arrow keys move along a curve, up and down between curves.");
    return panel.dots.length;
  }

  // What is known of one point: by pointer or by arrow keys
  const tip = byId("tip"), said = byId("tip-said"), ring = byId("ring");
  function words(i) {
    const volume = points.volume[i], from = points.source[i];
    const where = from < 0 ? "untuned" : `${data.sources[from].name}, ${number(volume)} items`;
    const [low, high] = [at("low", i), at("high", i)];
    const interval = low === null || high === null ? "interval not known" : `${percent(low)} to ${percent(high)}`;
    const what = option.corrected ? " % of what is above chance" : " %";
    const seeds = from < 0 ? "" : `${points.seeds[i]} seed${points.seeds[i] === 1 ? "" : "s"}, `;
    return [`${data.abilities[points.ability[i]].label}: ${percent(at("score", i))}${what}`,
      `${data.models[points.model[i]].name}, ${where}`, `interval ${interval}`, `${seeds}${number(points.items[i])} test items`];
  }
  function show(panel, dot, aloud) {
    const lines = words(dot[2]), frame = byId("chart").getBoundingClientRect(), box = panel.canvas.getBoundingClientRect();
    tip.replaceChildren(...lines.map((line, n) => Object.assign(document.createElement(n ? "div" : "b"), { textContent: line })));
    tip.hidden = ring.hidden = false;
    const x = box.left - frame.left + dot[0], y = box.top - frame.top + dot[1];
    ring.style.transform = `translate(${x - 9}px, ${y - 9}px)`;
    const room = Math.max(0, Math.min(x - tip.offsetWidth / 2, frame.width - tip.offsetWidth));
    const above = y - tip.offsetHeight - 14;
    tip.style.transform = `translate(${room}px, ${above < 0 ? y + 16 : above}px)`;
    if (aloud) said.textContent = lines.join("; ");
  }
  function hide() { tip.hidden = ring.hidden = true; for (const panel of panels) panel.at = null; }
  function step(panel, key) {
    const dots = panel.dots;
    if (!dots.length) return;
    if (panel.at === null || panel.at >= dots.length) { panel.at = 0; return; }
    const [px, , , curve] = dots[panel.at], own = dots.map((dot, n) => [dot, n]).filter(([dot]) => dot[3] === curve).map(([, n]) => n);
    const place = own.indexOf(panel.at), total = panel.order.length;
    if (key === "ArrowRight") panel.at = own[Math.min(place + 1, own.length - 1)];
    else if (key === "ArrowLeft") panel.at = own[Math.max(place - 1, 0)];
    else if (key === "Home") panel.at = own[0];
    else if (key === "End") panel.at = own[own.length - 1];
    else {
      const next = (curve + (key === "ArrowDown" ? 1 : total - 1)) % total;
      let best = null;
      dots.forEach((dot, n) => { if (dot[3] === next && (best === null || Math.abs(dot[0] - px) < Math.abs(dots[best][0] - px))) best = n; });
      if (best !== null) panel.at = best;
    }
  }
  for (const panel of panels) {
    panel.canvas.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { hide(); return; }
      if (!["ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) return;
      event.preventDefault(); step(panel, event.key);
      if (panel.at !== null) show(panel, panel.dots[panel.at], true);
    });
    panel.canvas.addEventListener("blur", hide);
    panel.canvas.addEventListener("pointermove", (event) => {
      const box = panel.canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
      let best = null, distance = NEAR;
      panel.dots.forEach((dot, n) => { const own = Math.hypot(dot[0] - x, dot[1] - y); if (own < distance) { distance = own; best = n; } });
      if (best === null) hide(); else { panel.at = best; show(panel, panel.dots[best], false); }
    });
    panel.canvas.addEventListener("pointerleave", hide);
  }
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

  // The same points as a table, made when it is opened
  const LONGEST = 500, details = byId("chart-table");
  function table(opened) {
    if (!details.open && !opened) return;
    const rows = [];
    let left = 0;
    for (const panel of panels.filter((one) => shown.ability[one.place])) {
      for (const [, , i] of panel.dots) if (rows.length < LONGEST) rows.push(i); else left += 1;
    }
    details.querySelector("tbody").replaceChildren(...rows.map((i) => {
      const row = document.createElement("tr"), from = points.source[i], low = at("low", i), high = at("high", i);
      const cells = [data.abilities[points.ability[i]].label, data.models[points.model[i]].name, from < 0 ? "untuned" : data.sources[from].name,
        number(points.volume[i]), percent(at("score", i)), low === null || high === null ? "not known" : `${percent(low)} to ${percent(high)}`,
        points.seeds[i], number(points.items[i])];
      cells.forEach((text, n) => {
        const cell = document.createElement(n ? "td" : "th");
        if (!n) cell.scope = "row"; else if (n < 3) cell.className = "word";
        cell.textContent = text; row.append(cell);
      });
      return row;
    }));
    byId("chart-table-rest").textContent = left ? `${number(left)} more points are shown above; the downloads have all.` : "";
  }
  details.addEventListener("toggle", () => table(true));

  section.hidden = false;
  for (const link of document.querySelectorAll("[data-needs-script]")) link.hidden = false;
  window.addEventListener("hashchange", () => { if (restore()) changed(true); });
  const linked = restore();
  drawAll();
  if (linked) section.scrollIntoView();
})();
