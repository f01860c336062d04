// The loss chart: a small SVG, redrawn whole. Colours come from the style sheet by class name.
(() => {
  const et = window.easytune;
  const HEIGHT = 260;
  const MARGIN = { top: 12, right: 50, bottom: 36, left: 46 };

  const svg = (tag, attributes = {}, ...children) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };

  // At most `count` round numbers between low and high.
  const ticks = (low, high, count) => {
    const rough = (high - low) / Math.max(count, 1) || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough * 0.999);
    const found = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
    return found;
  };

  const logTicks = (low, high) => {
    const found = [];
    for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p++) {
      for (const n of [1, 2, 5]) {
        const value = n * 10 ** p;
        if (value >= low * 0.999 && value <= high * 1.001) found.push(value);
      }
    }
    return found.length >= 2 ? found : ticks(low, high, 4);
  };

  const short = (value) => {
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size < 0.001 || size >= 1e6) return value.toExponential(1).replace(".0e", "e").replace("e+", "e");
    return String(+value.toPrecision(4));
  };
  const exact = (value) => (Math.abs(value) < 0.001 && value ? value.toExponential(2) : value.toFixed(4));

  const scale = (low, high, from, to, log) => {
    const map = log ? Math.log : (v) => v;
    const span = map(high) - map(low) || 1;
    return (v) => from + ((map(v) - map(low)) / span) * (to - from);
  };

  const range = (values, pad, log) => {
    let low = Math.min(...values);
    let high = Math.max(...values);
    if (low === high) [low, high] = low ? [low * 0.9, high * 1.1].sort((a, b) => a - b) : [0, 1];
    if (log) return [low / 1.05, high * 1.05];
    const room = (high - low) * pad;
    return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
  };

  const line = (points, x, y) =>
    points.map(([a, b], i) => `${i ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("");

  const nearest = (points, at) =>
    points.reduce((best, p) => (Math.abs(p[0] - at) < Math.abs(best[0] - at) ? p : best), points[0]);

  const drawAxes = (root, box, x, left, right, data) => {
    for (const value of left.ticks) {
      const at = left.scale(value);
      root.append(svg("line", { class: "et-grid", x1: box.left, x2: box.right, y1: at, y2: at }));
      root.append(svg("text", { class: "et-tick", x: box.left - 6, y: at + 4, "text-anchor": "end" }, short(value)));
    }
    for (const value of right?.ticks ?? []) {
      root.append(svg("text", { class: `et-tick et-tick-${right.name}`, x: box.right + 6, y: right.scale(value) + 4 }, short(value)));
    }
    for (const value of x.ticks) {
      root.append(svg("text", { class: "et-tick", x: x.scale(value), y: box.bottom + 16, "text-anchor": "middle" }, short(value)));
    }
    root.append(svg("line", { class: "et-axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
    root.append(svg("text", { class: "et-axis-name", x: (box.left + box.right) / 2, y: HEIGHT - 3, "text-anchor": "middle" }, data.x_label));
  };

  // The curve between the ends of its interval, and from where on it is severe.
  const drawForgetting = (root, series, box, x, y, data) => {
    const ends = (end) => series.points.map((p) => [p[0], p[end]]);
    const outline = [...ends(3), ...ends(2).reverse()];
    root.append(svg("path", { class: "et-interval", d: `${line(outline, x, y)}Z` }));
    const severe = y(data.severe);
    if (severe > box.top + 4) {
      root.append(svg("line", { class: "et-severe", x1: box.left, x2: box.right, y1: severe, y2: severe }));
      // Near the bottom there are curves already.
      if (severe < box.bottom - 40) root.append(svg("text", { class: "et-severe-name", x: box.right - 4, y: severe - 4, "text-anchor": "end" }, data.severe_label));
    }
    drawSeries(root, series, x, y, false);
  };

  const drawSeries = (root, series, x, y, smoothOn) => {
    const faint = smoothOn && series.smoothed.length > 2;
    const drawn = (points, extra) => {
      root.append(svg("path", { class: `et-line et-${series.name} ${extra}`, d: line(points, x, y) }));
    };
    drawn(series.points, faint ? "et-faint" : "");
    if (faint) drawn(series.smoothed, "");
    const dots = ["held_out", "forgetting"].includes(series.name) || series.points.length === 1 ? series.points : [];
    for (const [a, b] of dots.length <= 60 ? dots : []) {
      root.append(svg("circle", { class: `et-dot et-${series.name}`, cx: x(a), cy: y(b), r: 3 }));
    }
  };

  const hover = (slot, root, box, x, shown, data) => {
    const guide = svg("line", { class: "et-guide", y1: box.top, y2: box.bottom, visibility: "hidden" });
    const tip = et.node("div", { class: "et-tip", hidden: true });
    root.append(guide);
    slot.append(tip);
    root.addEventListener("pointerleave", () => {
      tip.hidden = true;
      guide.setAttribute("visibility", "hidden");
    });
    root.addEventListener("pointermove", (event) => {
      const left = root.getBoundingClientRect().left;
      const at = x.invert(event.clientX - left);
      const anchor = nearest(shown[0].points, at)[0];
      const rows = shown.map((s) => ({ s, p: nearest(s.points, anchor) }));
      tip.replaceChildren(et.node("b", {}, `${data.x_label} ${anchor}`));
      for (const { s, p } of rows) {
        const where = p[0] === anchor ? "" : ` (${p[0]})`;
        const ends = p.length > 2 && p[2] !== p[3] ? `, ${data.interval_label.replace("{low}", exact(p[2])).replace("{high}", exact(p[3]))}` : "";
        tip.append(et.node("span", {}, et.node("i", { class: `et-key et-${s.name}` }), `${s.label} ${exact(p[1])}${ends}${where}`));
      }
      const px = x.scale(anchor);
      guide.setAttribute("x1", px);
      guide.setAttribute("x2", px);
      guide.setAttribute("visibility", "visible");
      tip.hidden = false;
      const room = slot.clientWidth - tip.offsetWidth;
      tip.style.left = `${Math.max(0, Math.min(room, px > slot.clientWidth / 2 ? px - tip.offsetWidth - 10 : px + 10))}px`;
    });
  };

  const plot = (slot, data, choice) => {
    const width = Math.max(slot.clientWidth, 240);
    const shown = data.series.filter((s) => s.points.length && !choice.hidden.has(s.name));
    const [rate, forgetting] = ["rate", "forgetting"].map((name) => shown.find((s) => s.name === name));
    const losses = shown.filter((s) => s !== rate && s !== forgetting);
    const onTheRight = forgetting ?? rate;
    const box = { left: MARGIN.left, right: width - (onTheRight ? MARGIN.right : 14), top: MARGIN.top, bottom: HEIGHT - MARGIN.bottom };
    const root = svg("svg", { class: "et-plot", width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": data.y_label });
    if (!shown.length) {
      root.append(svg("text", { class: "et-axis-name", x: width / 2, y: HEIGHT / 2, "text-anchor": "middle" }, data.empty));
      slot.append(root);
      return;
    }
    const steps = shown.flatMap((s) => s.points.map((p) => p[0]));
    const [first, last] = [Math.min(...steps), Math.max(...steps)];
    const high = first === last ? Math.max(data.last_step, first + 1) : last;
    const low = first === last ? 0 : first;
    const x = { scale: scale(low, high, box.left, box.right), ticks: ticks(low, high, Math.floor(width / 90)).filter(Number.isInteger) };
    x.invert = (px) => low + ((px - box.left) / (box.right - box.left)) * (high - low);
    const axis = (values, log) => {
      const [a, b] = range(values, 0.06, log);
      return { scale: scale(a, b, box.bottom, box.top, log), ticks: log ? logTicks(a, b) : ticks(a, b, 5) };
    };
    const values = losses.flatMap((s) => s.points.map((p) => p[1]));
    const logOn = choice.log && values.every((v) => v > 0);
    const left = axis(values.length ? values : [0, 1], logOn);
    const rates = rate && axis([0, ...rate.points.map((p) => p[1])], false);
    // At least up to a tenth, so that next to nothing looks like next to nothing.
    const scores = forgetting && axis([0, 0.1, ...forgetting.points.flatMap((p) => p.slice(1))], false);
    // The forgetting has the axis; the learning rate, when shown beside it, is read by pointing.
    const right = onTheRight ? { name: onTheRight.name, ...(scores ?? rates) } : null;
    drawAxes(root, box, x, values.length ? left : { ticks: [] }, right, data);
    if (rate) drawSeries(root, rate, x.scale, rates.scale, false);
    if (forgetting) drawForgetting(root, forgetting, box, x.scale, scores.scale, data);
    for (const series of losses) drawSeries(root, series, x.scale, left.scale, choice.smooth);
    if (data.best && !choice.hidden.has("held_out")) {
      root.append(svg("circle", { class: "et-best", cx: x.scale(data.best[0]), cy: left.scale(data.best[1]), r: 6 }, svg("title", {}, data.best_label)));
    }
    slot.append(root);
    hover(slot, root, box, x, [...losses, forgetting, rate].filter(Boolean), data);
  };

  const legend = (data, choice, redraw) => {
    const bar = et.node("div", { class: "et-legend" });
    for (const series of data.series) {
      const toggle = () => {
        choice.hidden.has(series.name) ? choice.hidden.delete(series.name) : choice.hidden.add(series.name);
        redraw();
      };
      bar.append(et.node("button", { type: "button", class: "et-legend-item", "data-series": series.name, "aria-pressed": String(!choice.hidden.has(series.name)), onclick: toggle },
        et.node("i", { class: `et-key et-${series.name}` }), series.label));
    }
    const switches = et.node("span", { class: "et-switches" });
    bar.append(switches);
    for (const name of ["smooth", "log"]) {
      switches.append(et.node("button", { type: "button", class: "et-switch", "data-switch": name, "aria-pressed": String(choice[name]), onclick: () => { choice[name] = !choice[name]; redraw(); } }, data[`${name}_label`]));
    }
    return bar;
  };

  et.renderer("chart", () => {
    const choice = { smooth: true, log: false, hidden: new Set() };
    let current = null;
    const draw = (slot, data) => {
      current = data;
      slot.classList.add("et-chart");
      slot.replaceChildren(legend(data, choice, () => draw(slot, current)));
      plot(slot, data, choice);
    };
    return draw;
  });
})();
