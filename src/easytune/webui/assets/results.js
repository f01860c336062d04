// The charts of an evaluation: small SVGs, redrawn whole. Colours come from the style sheet.
(() => {
  const et = window.easytune;
  const { node } = et;
  const svg = (tag, attributes = {}, ...children) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };
  const COLOURS = 8;
  const ROW = 26;
  const HEIGHT = 230;
  const [NARROWEST, GAP] = [360, 12];

  const short = (value) => {
    if (value == null) return "–";
    const size = Math.abs(value);
    const text = size && size < 0.001 ? value.toExponential(1) : String(+value.toPrecision(size >= 100 ? 4 : 3));
    return text.replace("-", "−");
  };
  const ends = (one) => (one.low == null || one.high == null ? "" : ` [${short(one.low)}, ${short(one.high)}]`);
  const colour = (place) => `results-colour-${place % COLOURS}`;

  const ticks = (low, high, count) => {
    const rough = (high - low) / Math.max(count, 1) || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough * 0.999);
    const found = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(+(i * step).toPrecision(12));
    return found;
  };
  const scale = (low, high, from, to) => (value) => from + ((value - low) / (high - low || 1)) * (to - from);
  const range = (values, pad = 0.08) => {
    const known = values.filter((v) => v != null && Number.isFinite(v));
    if (!known.length) return [0, 1];
    let [low, high] = [Math.min(...known), Math.max(...known)];
    if (low === high) [low, high] = [low - (Math.abs(low) * 0.1 || 1), high + (Math.abs(high) * 0.1 || 1)];
    const room = (high - low) * pad;
    return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
  };

  const text = (words, x, y, anchor = "start", kind = "et-tick") => svg("text", { class: kind, x, y, "text-anchor": anchor }, words);
  const picture = (width, height, name) => svg("svg", { class: "et-plot", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": name });
  const line = (points, x, y) => points.map(([a, b], i) => `${i ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("");

  // What a mark stands for is told beside the pointer, and to those who listen.
  const told = (mark, words) => {
    mark.append(svg("title", {}, words));
    return mark;
  };

  const frame = (root, box, x, y, xTicks, yTicks, xName, yName) => {
    for (const value of yTicks) {
      root.append(svg("line", { class: "et-grid", x1: box.left, x2: box.right, y1: y(value), y2: y(value) }), text(short(value), box.left - 6, y(value) + 4, "end"));
    }
    for (const value of xTicks) root.append(text(short(value), x(value), box.bottom + 16, "middle"));
    root.append(svg("line", { class: "et-axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
    root.append(text(xName, (box.left + box.right) / 2, box.bottom + 33, "middle", "et-axis-name"), text(yName, box.left, box.top - 6, "start", "et-axis-name"));
  };
  const boxOf = (width) => ({ left: 52, right: width - 16, top: 22, bottom: HEIGHT - 38 });

  const whisker = (root, low, high, fixed, kind, flat) => {
    if (low == null || high == null) return;
    root.append(svg("line", flat ? { class: `results-whisker ${kind}`, x1: low, x2: high, y1: fixed, y2: fixed } : { class: `results-whisker ${kind}`, x1: fixed, x2: fixed, y1: low, y2: high }));
  };

  // --- every metric by model, with intervals ---------------------------------------
  const byModel = (data, metric, found, width) => {
    const height = 34 + found.length * ROW;
    const root = picture(width, height, metric.label);
    const [low, high] = range(found.flatMap((one) => [one.value, one.low, one.high]));
    const x = scale(low, high, 26, width - 62);
    for (const value of ticks(low, high, Math.floor(width / 60))) {
      root.append(svg("line", { class: "et-grid", x1: x(value), x2: x(value), y1: 4, y2: height - 24 }), text(short(value), x(value), height - 8, "middle"));
    }
    found.forEach((one, i) => {
      const at = 4 + i * ROW + ROW / 2;
      root.append(text(data.candidates[one.candidate].short, 4, at + 4));
      whisker(root, one.low == null ? null : x(one.low), one.high == null ? null : x(one.high), at, colour(one.candidate), true);
      const dot = svg("circle", { class: `et-dot ${colour(one.candidate)}`, cx: x(one.value), cy: at, r: 4.5 });
      root.append(told(dot, `${data.candidates[one.candidate].label}: ${short(one.value)}${ends(one)}`), text(short(one.value), width - 4, at + 4, "end", "results-value"));
    });
    return node("figure", { class: "results-plot", "data-metric": metric.name }, node("figcaption", {}, `${metric.label} ${metric.way}`), root);
  };

  // --- one metric over the checkpoints of a run -------------------------------------
  const lines = (data, of) => {
    const runs = [...new Set(data.candidates.map((c) => c.run).filter(Boolean))];
    const known = data.candidates.map((c, place) => ({ ...c, place, value: of(place) })).filter((c) => c.value && c.step != null);
    return runs
      .map((run) => {
        const own = known.filter((c) => c.run === run);
        const base = known.find((c) => c.kind === "base" && own.some((o) => o.base === c.base));
        return [...(base ? [base] : []), ...own].sort((a, b) => a.step - b.step);
      })
      .filter((points) => points.filter((p) => p.kind !== "base").length > 1);
  };

  const overSteps = (data, metric, of, width) => {
    const found = lines(data, of);
    if (!found.length) return null;
    const root = picture(width, HEIGHT, metric.label);
    const box = boxOf(width);
    const all = found.flat();
    const [first, last] = [Math.min(...all.map((p) => p.step)), Math.max(...all.map((p) => p.step))];
    const [low, high] = range(all.flatMap((p) => [p.value.value, p.value.low, p.value.high]));
    const [x, y] = [scale(first, last, box.left + 8, box.right - 8), scale(low, high, box.bottom, box.top)];
    frame(root, box, x, y, ticks(first, last, Math.floor(width / 80)), ticks(low, high, 5), data.texts.step, metric.label);
    for (const points of found) {
      const kind = colour(points.at(-1).place);
      root.append(svg("path", { class: `et-line ${kind}`, d: line(points.map((p) => [p.step, p.value.value]), x, y) }));
      for (const p of points) {
        whisker(root, p.value.low == null ? null : y(p.value.low), p.value.high == null ? null : y(p.value.high), x(p.step), kind, false);
        root.append(told(svg("circle", { class: `et-dot ${kind}`, cx: x(p.step), cy: y(p.value.value), r: 4 }), `${p.label}: ${short(p.value.value)}${ends(p.value)}`));
      }
    }
    return root;
  };

  // --- learning against forgetting ---------------------------------------------------
  const tradeOff = (data, metric, of, width) => {
    const probe = data.forgetting[0]?.probe;
    const measured = new Map(data.forgetting.filter((f) => f.probe === probe).map((f) => [f.candidate, f]));
    // A base has forgotten nothing of itself.
    const lost = (c, place) => measured.get(place) ?? (c.kind === "base" && measured.size ? { score: 0 } : null);
    const points = data.candidates.map((c, place) => ({ ...c, place, value: of(place), lost: lost(c, place) })).filter((p) => p.value && p.lost);
    if (points.length < 2) return null;
    const root = picture(width, HEIGHT, data.texts.trade_off);
    const box = boxOf(width);
    const [left, right] = range([0, ...points.flatMap((p) => [p.lost.score, p.lost.low, p.lost.high])]);
    const [low, high] = range(points.flatMap((p) => [p.value.value, p.value.low, p.value.high]));
    const [x, y] = [scale(left, right, box.left + 8, box.right - 12), scale(low, high, box.bottom, box.top)];
    frame(root, box, x, y, ticks(left, right, Math.floor(width / 90)), ticks(low, high, 5), data.texts.forgetting_axis, metric.label);
    for (const one of lines(data, of)) {
      const along = one.map((p) => points.find((q) => q.place === p.place)).filter(Boolean);
      if (along.length > 1) root.append(svg("path", { class: "et-line et-faint results-path", d: line(along.map((p) => [p.lost.score, p.value.value]), x, y) }));
    }
    const labels = new Map();
    for (const p of points) {
      const kind = colour(p.place);
      // Models that learned and forgot the same lie on each other: one label has all their numbers.
      const [across, up] = [x(p.lost.score), y(p.value.value)];
      const near = [...labels.keys()].find(([a, b]) => Math.abs(a - across) < 14 && Math.abs(b - up) < 12);
      labels.set(near ?? [across, up], [...(labels.get(near) ?? []), p.short]);
      whisker(root, p.lost.low == null ? null : x(p.lost.low), p.lost.high == null ? null : x(p.lost.high), y(p.value.value), kind, true);
      whisker(root, p.value.low == null ? null : y(p.value.low), p.value.high == null ? null : y(p.value.high), x(p.lost.score), kind, false);
      const words = `${p.label}: ${metric.label} ${short(p.value.value)}${ends(p.value)}, ${data.texts.forgetting_axis} ${short(p.lost.score)}${ends(p.lost)}`;
      root.append(told(svg("circle", { class: `et-dot ${kind}`, "data-candidate": p.place, cx: across, cy: up, r: 5 }), words));
    }
    for (const [[across, up], numbers] of labels) {
      const isRight = across > (box.left + box.right) / 2;
      root.append(text(numbers.join(", "), across + (isRight ? -8 : 8), up - 7, isRight ? "end" : "start", "results-value"));
    }
    return root;
  };

  // --- how the scores of rows are spread ----------------------------------------------
  const spread = (data, metric, found, width) => {
    if (!found?.counts.length) return null;
    const root = picture(width, HEIGHT, data.texts.spread);
    const box = boxOf(width);
    const most = Math.max(1, ...found.counts.flat());
    const [x, y] = [scale(found.low, found.high, box.left, box.right), scale(0, most, box.bottom, box.top)];
    frame(root, box, x, y, ticks(found.low, found.high, Math.floor(width / 80)), ticks(0, most, 4).filter(Number.isInteger), found.cut ? `${metric.label} ${data.texts.cut}` : metric.label, data.texts.rows_axis);
    found.counts.forEach((counts, place) => {
      const width_ = (found.high - found.low) / counts.length;
      const steps = counts.flatMap((count, i) => [[found.low + i * width_, count], [found.low + (i + 1) * width_, count]]);
      const outline = [[found.low, 0], ...steps, [found.high, 0]];
      root.append(told(svg("path", { class: `results-steps ${colour(place)}`, d: line(outline, x, y) }), data.candidates[place].label));
    });
    return root;
  };

  // --- all of them ----------------------------------------------------------------------
  const card = (name, title, body) => node("section", { class: "results-chart", "data-chart": name }, node("h4", {}, title), body);
  const legend = (data) =>
    node("div", { class: "et-legend" }, ...data.candidates.map((c, place) => node("span", { class: "results-key" }, node("i", { class: `et-key ${colour(place)}` }), c.label)));
  const select = (name, label, options, chosen, change) =>
    node("label", { class: "results-select" }, label,
      node("select", { "data-choice": name, onchange: (event) => change(+event.target.value) },
        ...options.map((option, i) => node("option", { value: i, selected: i === chosen }, option))));

  et.renderer("results-charts", () => {
    const choice = { id: "", set: 0, metric: 0 };
    const draw = (slot, data) => {
      if (choice.id !== data.id) Object.assign(choice, { id: data.id, set: 0, metric: 0 });
      const redraw = (name) => (value) => {
        choice[name] = value;
        draw(slot, data);
      };
      const figures = data.figures.filter((one) => one.set === choice.set);
      const metric = data.metrics[choice.metric] ?? data.metrics[0];
      const of = (place) => figures.find((one) => one.candidate === place && one.metric === metric.name);
      const wide = Math.max(240, slot.clientWidth - 2);
      const small = Math.max(210, Math.floor(wide / Math.max(1, Math.floor(wide / 300))) - 36);
      const all = data.metrics.map((one) => [one, figures.filter((f) => f.metric === one.name)]).filter(([, found]) => found.length);
      const controls = node("div", { class: "results-chart-controls" },
        ...(data.sets.length > 1 ? [select("set", data.texts.set, data.sets, choice.set, redraw("set"))] : []),
        ...(data.metrics.length > 1 ? [select("metric", data.texts.metric, data.metrics.map((m) => m.label), choice.metric, redraw("metric"))] : []));
      const drawn = (width) => [
        ["over-steps", data.texts.over_steps, overSteps(data, metric, of, width)],
        ["trade-off", data.texts.trade_off, tradeOff(data, metric, of, width)],
        ["spread", data.texts.spread, spread(data, metric, data.spreads[metric.name]?.[choice.set], width)],
      ].filter(([, , body]) => body);
      // As many columns as the style sheet makes of so many charts.
      const columns = Math.max(1, Math.min(drawn(NARROWEST).length, Math.floor((wide + GAP) / (NARROWEST + GAP))));
      const others = drawn(Math.floor((wide - (columns - 1) * GAP) / columns) - 32);
      slot.replaceChildren(
        node("h3", {}, data.texts.title), controls, legend(data),
        card("by-model", data.texts.by_model, node("div", { class: "results-plots" }, ...all.map(([one, found]) => byModel(data, one, found, small)))),
        node("div", { class: "results-chart-grid" }, ...others.map(([name, title, body]) => card(name, title, body))));
    };
    return draw;
  });
})();
