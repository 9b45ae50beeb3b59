// The report's behaviour: draws the chosen view as a heatmap, its profiles and its table. All numbers, colours, labels
// and sentences come from the embedded JSON; nothing is fetched, and every text is set as text, never as markup.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const $ = (id) => document.getElementById(id);
  const WIDE = data.components.length;
  const CELL = { w: 62, left: 44, bottom: 22, top: 6 };
  const state = { metric: 0, view: 0, layer: 0, column: 0, top: data.origin === "top" };

  const svg = (name, attributes, ...children) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };
  const html = (name, text, attributes = {}) => {
    const node = document.createElement(name);
    if (text !== undefined) node.textContent = text;
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };

  const metric = () => data.metrics[state.metric];
  const view = () => metric().views[state.view];
  const at = (layer, column) => layer * WIDE + column;
  const rows = () => Array.from({ length: data.layers }, (_, i) => (state.top ? i : data.layers - 1 - i));

  const format = (value) => {
    const short = Number(value).toPrecision(4);
    if (short.includes("e")) return String(Number(short)).includes("e") ? String(Number(short)) : Number(short).toExponential();
    return String(Number(short));
  };
  const colour = (v, i) => {
    const step = parseInt(v.steps.substr(2 * i, 2), 16);
    return step < data.ramps[v.ramp].length ? data.ramps[v.ramp][step] : null;
  };
  const reason = (v, i) => data.sentences[v.missing[i]] ?? "no value";
  const address = (layer, column) => `layer ${layer}, ${data.components[column].label}`;

  // Rank 1 is the most important by the metric's own direction; equal numbers share the better rank.
  const rank = (v, i) => {
    const low = metric().direction === "low";
    let better = 0;
    let all = 0;
    for (const other of v.values) {
      if (other === null) continue;
      all += 1;
      if (low ? other < v.values[i] : other > v.values[i]) better += 1;
    }
    return `${better + 1} of ${all}, ${low ? "lowest" : "highest"} first`;
  };

  const facts = (layer, column) => {
    const v = view();
    const i = at(layer, column);
    const value = v.values[i];
    const list = [];
    if (value === null) list.push(["no value", reason(v, i)]);
    else {
      list.push(["value", `${format(value)} ${v.unit}`]);
      if (v.intervals[i]) list.push(["95 % interval", v.intervals[i].map(format).join(" to ")]);
      list.push(["rank", rank(v, i)]);
    }
    const kind = data.kinds[data.places[i]];
    if (kind) {
      list.push(["shape", kind.shape], ["stored as", kind.dtype]);
      if (kind.experts) list.push(["experts", `mean over ${kind.experts}`]);
    }
    return list;
  };
  const spoken = (layer, column) => `${address(layer, column)}: ${facts(layer, column).map((f) => f.join(" ")).join(", ")}`;

  // ---- the heatmap ----

  const rowHeight = () => Math.max(7, Math.min(34, Math.floor(476 / data.layers)));

  const hatch = () => svg("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    svg("rect", { width: 6, height: 6, class: "hatch-ground" }), svg("line", { x1: 0, y1: 0, x2: 0, y2: 6, class: "hatch-line" }));

  function drawMap() {
    const v = view();
    const h = rowHeight();
    const [width, height] = [CELL.left + WIDE * CELL.w + 112, CELL.top + h * data.layers + CELL.bottom + 22];
    const grid = svg("g", { role: "grid", "aria-label": `${metric().title}, ${v.title}`, "aria-rowcount": data.layers, "aria-colcount": WIDE });
    rows().forEach((layer, r) => grid.append(drawRow(v, layer, CELL.top + r * h, h)));
    const foot = CELL.top + h * data.layers;
    const heads = svg("g", {});
    data.components.forEach((component, column) => heads.append(head(component.label, column, foot)));
    const frame = svg("rect", { x: CELL.left, y: CELL.top, width: WIDE * CELL.w, height: h * data.layers, class: "frame" });
    const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "map", id: "map-svg", "font-size": 11 },
      svg("defs", {}, hatch()), grid, frame, heads,
      svg("text", { x: CELL.left + (WIDE * CELL.w) / 2, y: foot + 38, class: "axis", "text-anchor": "middle" }, "component"),
      svg("text", { x: 10, y: CELL.top + (h * data.layers) / 2, class: "axis", "text-anchor": "middle", transform: `rotate(-90 10 ${CELL.top + (h * data.layers) / 2})` }, "layer"),
      bar(v, CELL.left + WIDE * CELL.w + 22, CELL.top, Math.max(120, h * data.layers)));
    picture.setAttribute("viewBox", `0 0 ${width} ${Math.max(height, 150)}`);
    $("map").replaceChildren(picture);
    markSelection(false);
  }

  function drawRow(v, layer, y, h) {
    const row = svg("g", { role: "row" });
    const labelled = data.ticks.includes(layer);
    const label = svg("g", { class: "pick", role: "rowheader", "data-layer": layer, "aria-label": `layer ${layer}` },
      svg("rect", { x: 18, y, width: CELL.left - 18, height: h, class: "hit" }),
      svg("text", { x: CELL.left - 6, y: y + h / 2 + 4, "text-anchor": "end" }, labelled ? String(layer) : ""));
    label.addEventListener("click", () => select(layer, state.column, "row"));
    row.append(label);
    for (let column = 0; column < WIDE; column += 1) {
      const i = at(layer, column);
      const cell = svg("rect", {
        x: CELL.left + column * CELL.w, y, width: CELL.w, height: h, fill: colour(v, i) ?? "url(#hatch)", class: "cell",
        role: "gridcell", tabindex: -1, "data-layer": layer, "data-column": column, "aria-label": spoken(layer, column),
      });
      row.append(cell);
    }
    return row;
  }

  function head(label, column, y) {
    const node = svg("g", { class: "pick", role: "button", tabindex: 0, "data-column": column, "aria-label": `profile of column ${label}` },
      svg("rect", { x: CELL.left + column * CELL.w, y, width: CELL.w, height: CELL.bottom, class: "hit" }),
      svg("text", { x: CELL.left + (column + 0.5) * CELL.w, y: y + 16, "text-anchor": "middle" }, label));
    node.addEventListener("click", () => select(state.layer, column, "column"));
    node.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      select(state.layer, column, "column");
    });
    return node;
  }

  function bar(v, x, y, height) {
    const group = svg("g", { "aria-hidden": "true" });
    v.bar.forEach((step, i) => {
      const h = height / v.bar.length;
      group.append(svg("rect", { x, y: y + height - (i + 1) * h, width: 16, height: h + (i ? 0.6 : 0), fill: data.ramps[v.ramp][step] }));
    });
    group.append(svg("rect", { x, y, width: 16, height, class: "frame" }));
    for (const [position, label] of v.ticks) {
      const ty = y + height * (1 - position);
      group.append(svg("line", { x1: x + 16, x2: x + 20, y1: ty, y2: ty, class: "tick" }), svg("text", { x: x + 24, y: ty + 4 }, label));
    }
    if (v.middle !== null) {
      const my = y + height * (1 - v.middle);
      group.append(svg("line", { x1: x, x2: x + 16, y1: my, y2: my, class: "tick" }));
    }
    if (v.above) group.append(svg("path", { d: `M${x} ${y}h16l-8 -6z`, fill: data.ramps[v.ramp][v.bar.at(-1)], class: "tick" }));
    if (v.below) group.append(svg("path", { d: `M${x} ${y + height}h16l-8 6z`, fill: data.ramps[v.ramp][v.bar[0]], class: "tick" }));
    group.append(svg("text", { x: x + 82, y: y + height / 2, class: "axis", "text-anchor": "middle", transform: `rotate(-90 ${x + 82} ${y + height / 2})` }, v.unit));
    return group;
  }

  const cellNode = (layer, column) => $("map").querySelector(`.cell[data-layer="${layer}"][data-column="${column}"]`);

  function markSelection(focus) {
    for (const node of $("map").querySelectorAll(".cell")) {
      const chosen = Number(node.dataset.layer) === state.layer && Number(node.dataset.column) === state.column;
      node.setAttribute("tabindex", chosen ? 0 : -1);
      node.classList.toggle("chosen", chosen);
      if (chosen && focus) node.focus();
    }
    // Later siblings paint over an outline, so the chosen cell's is drawn apart, on top.
    $("map").querySelector(".marker")?.remove();
    const cell = cellNode(state.layer, state.column);
    if (!cell) return;
    const box = Object.fromEntries(["x", "y", "width", "height"].map((k) => [k, cell.getAttribute(k)]));
    $("map-svg").append(svg("rect", { ...box, class: "marker" }));
  }

  // ---- one cell, one column, one row ----

  function select(layer, column, profile) {
    state.layer = layer;
    state.column = column;
    markSelection(false);
    drawCell();
    drawProfiles();
    if (profile) $(profile === "row" ? "row-profile" : "column-profile").scrollIntoView?.({ block: "nearest" });
  }

  function drawCell() {
    $("cell-name").textContent = address(state.layer, state.column);
    $("cell-facts").replaceChildren(...facts(state.layer, state.column).flatMap(([k, v]) => [html("dt", k), html("dd", v)]));
  }

  const extent = (values) => {
    const known = values.filter((x) => x !== null);
    if (!known.length) return null;
    let [low, high] = [Math.min(...known), Math.max(...known)];
    if (low === high) [low, high] = [low - (Math.abs(low) || 1) * 0.05, high + (Math.abs(high) || 1) * 0.05];
    const pad = (high - low) * 0.06;
    return [low - pad, high + pad];
  };

  // Round numbers for an axis, about four of them.
  function axisTicks([low, high]) {
    const rough = (high - low) / 4;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((s) => s * power).find((s) => s >= rough);
    const ticks = [];
    for (let n = Math.ceil(low / step); n * step <= high && ticks.length < 9; n += 1) ticks.push(n * step);
    return ticks;
  }

  const PLOT = { w: 460, h: 190, left: 62, right: 10, top: 10, bottom: 34 };

  function frame(range, xLabel) {
    const y = (value) => PLOT.h - PLOT.bottom - ((value - range[0]) / (range[1] - range[0])) * (PLOT.h - PLOT.top - PLOT.bottom);
    const plot = svg("svg", { viewBox: `0 0 ${PLOT.w} ${PLOT.h}`, class: "plot", "font-size": 10, role: "img" });
    for (const value of axisTicks(range)) {
      plot.append(svg("line", { x1: PLOT.left, x2: PLOT.w - PLOT.right, y1: y(value), y2: y(value), class: "rule" }),
        svg("text", { x: PLOT.left - 5, y: y(value) + 3, "text-anchor": "end" }, format(value)));
    }
    plot.append(svg("text", { x: (PLOT.left + PLOT.w - PLOT.right) / 2, y: PLOT.h - 4, class: "axis", "text-anchor": "middle" }, xLabel),
      svg("text", { x: 9, y: PLOT.h / 2 - 10, class: "axis", "text-anchor": "middle", transform: `rotate(-90 9 ${PLOT.h / 2 - 10})` }, view().unit));
    return [plot, y];
  }

  function drawColumnProfile(v, range) {
    const [plot, y] = frame(range, "layer");
    const x = (layer) => PLOT.left + 6 + (layer / Math.max(1, data.layers - 1)) * (PLOT.w - PLOT.left - PLOT.right - 12);
    const line = (column) => {
      let path = "";
      let pen = "M";
      for (let layer = 0; layer < data.layers; layer += 1) {
        const value = v.values[at(layer, column)];
        if (value === null) pen = "M";
        else { path += `${pen}${x(layer).toFixed(1)} ${y(value).toFixed(1)}`; pen = "L"; }
      }
      return path;
    };
    data.components.forEach((_, column) => column !== state.column && plot.append(svg("path", { d: line(column), class: "line faint" })));
    plot.append(svg("path", { d: line(state.column), class: "line" }));
    for (let layer = 0; layer < data.layers; layer += 1) {
      const value = v.values[at(layer, state.column)];
      if (value === null) continue;
      plot.append(svg("circle", { cx: x(layer), cy: y(value), r: layer === state.layer ? 4.5 : 2, class: layer === state.layer ? "dot chosen" : "dot" }));
    }
    for (const layer of data.ticks.filter((_, i, all) => all.length < 16 || i % Math.ceil(all.length / 12) === 0)) {
      plot.append(svg("text", { x: x(layer), y: PLOT.h - PLOT.bottom + 13, "text-anchor": "middle" }, String(layer)));
    }
    plot.setAttribute("aria-label", `${data.components[state.column].label} along depth; its numbers are in the table`);
    return plot;
  }

  function drawRowProfile(v, range) {
    const [plot, y] = frame(range, "component");
    const x = (column) => PLOT.left + ((column + 0.5) / WIDE) * (PLOT.w - PLOT.left - PLOT.right);
    data.components.forEach((component, column) => {
      const value = v.values[at(state.layer, column)];
      const chosen = column === state.column;
      // A rule from edge to edge: a stem would start at the axis, which is not at zero.
      plot.append(svg("line", { x1: x(column), x2: x(column), y1: PLOT.top, y2: PLOT.h - PLOT.bottom, class: "rule" }),
        svg("text", { x: x(column), y: PLOT.h - PLOT.bottom + 13, "text-anchor": "middle" }, component.label));
      if (value === null) return;
      plot.append(svg("circle", { cx: x(column), cy: y(value), r: chosen ? 5 : 3.5, class: chosen ? "dot chosen" : "dot" }));
    });
    plot.setAttribute("aria-label", `the components of layer ${state.layer}; their numbers are in the table`);
    return plot;
  }

  function drawProfiles() {
    const v = view();
    const range = extent(v.values);
    $("column-title").textContent = `${data.components[state.column].label} along depth`;
    $("row-title").textContent = `Layer ${state.layer}, by component`;
    if (!range) {
      $("column-plot").replaceChildren(html("p", "no values"));
      $("row-plot").replaceChildren(html("p", "no values"));
      return;
    }
    $("column-plot").replaceChildren(drawColumnProfile(v, range));
    $("row-plot").replaceChildren(drawRowProfile(v, range));
  }

  // ---- the table ----

  function drawTable() {
    const v = view();
    const head = html("tr");
    head.append(html("th", "layer", { scope: "col" }), ...data.components.map((c) => html("th", c.label, { scope: "col" })));
    const body = rows().map((layer) => {
      const row = html("tr");
      row.append(html("th", String(layer), { scope: "row" }));
      for (let column = 0; column < WIDE; column += 1) {
        const i = at(layer, column);
        const value = v.values[i];
        row.append(value === null ? html("td", "–", { class: "none", title: reason(v, i), "aria-label": `no value: ${reason(v, i)}` }) : html("td", format(value)));
      }
      return row;
    });
    const table = html("table", undefined, { id: "data-table" });
    const [thead, tbody] = [html("thead"), html("tbody")];
    thead.append(head);
    tbody.append(...body);
    table.append(html("caption", `${metric().title} (${v.unit}), ${v.title}`), thead, tbody);
    $("table").replaceChildren(table);
  }

  // ---- choosing ----

  function drawAll() {
    const v = view();
    $("view-title").textContent = `${metric().title} (${v.unit})`;
    $("view-words").textContent = v.words;
    $("view-notes").replaceChildren(...v.notes.map((note) => html("li", data.sentences[note])));
    $("missing").hidden = !v.hatched;
    $("missing-text").textContent = v.hatched ?? "";
    drawMap();
    drawCell();
    drawProfiles();
    drawTable();
  }

  function fillNormalisations(wanted) {
    $("normalisation").replaceChildren(...metric().views.map((v, i) => html("option", `${v.id}: ${v.title}`, { value: i })));
    const same = metric().views.findIndex((v) => v.id === wanted);
    state.view = same >= 0 ? same : metric().first;
    $("normalisation").value = state.view;
  }

  function fillMetrics() {
    const families = [...new Set(data.metrics.map((m) => m.family))];
    for (const family of families) {
      const group = html("optgroup", undefined, { label: family });
      data.metrics.forEach((m, i) => m.family === family && group.append(html("option", `${m.title} (${m.id})`, { value: i })));
      $("metric").append(group);
    }
    $("metric").value = state.metric;
  }

  function showTip(event) {
    const cell = event.target.closest?.(".cell");
    const tip = $("tip");
    tip.hidden = !cell;
    if (!cell) return;
    const [layer, column] = [Number(cell.dataset.layer), Number(cell.dataset.column)];
    const list = html("dl");
    list.append(...facts(layer, column).flatMap(([k, v]) => [html("dt", k), html("dd", v)]));
    tip.replaceChildren(html("strong", address(layer, column)), list);
    const [x, y] = [event.clientX + 14, event.clientY + 14];
    tip.style.left = `${Math.max(4, Math.min(x, window.innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${y + tip.offsetHeight > window.innerHeight ? Math.max(4, y - tip.offsetHeight - 28) : y}px`;
  }

  function walk(event) {
    const up = state.top ? -1 : 1;
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [up, 0], ArrowDown: [-up, 0] };
    const ends = { Home: [state.layer, 0], End: [state.layer, WIDE - 1], PageUp: [state.top ? 0 : data.layers - 1, state.column], PageDown: [state.top ? data.layers - 1 : 0, state.column] };
    if (!event.target.classList.contains("cell")) return;
    const step = steps[event.key];
    const to = step ? [state.layer + step[0], state.column + step[1]] : ends[event.key];
    if (!to || to[0] < 0 || to[1] < 0 || to[0] >= data.layers || to[1] >= WIDE) return;
    event.preventDefault();
    select(to[0], to[1]);
    markSelection(true);
  }

  $("metric").addEventListener("change", (event) => {
    const wanted = view().id;
    state.metric = Number(event.target.value);
    fillNormalisations(wanted);
    drawAll();
  });
  $("normalisation").addEventListener("change", (event) => { state.view = Number(event.target.value); drawAll(); });
  $("origin").addEventListener("click", () => {
    state.top = !state.top;
    $("origin").setAttribute("aria-pressed", String(state.top));
    drawAll();
  });
  $("map").addEventListener("pointermove", showTip);
  $("map").addEventListener("pointerleave", () => { $("tip").hidden = true; });
  $("map").addEventListener("keydown", walk);
  $("map").addEventListener("click", (event) => {
    const cell = event.target.closest(".cell");
    if (cell) select(Number(cell.dataset.layer), Number(cell.dataset.column));
  });
  $("origin").setAttribute("aria-pressed", String(state.top));
  fillMetrics();
  fillNormalisations(null);
  document.body.classList.add("ready");
  drawAll();
})();
