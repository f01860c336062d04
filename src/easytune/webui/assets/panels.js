// Sparklines, sample answers and the log: parts of the live run that keep what the user opened.
(() => {
  const et = window.easytune;
  const NS = "http://www.w3.org/2000/svg";

  const spark = (values, top) => {
    const [width, height] = [120, 26];
    const picture = document.createElementNS(NS, "svg");
    picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    picture.setAttribute("preserveAspectRatio", "none");
    picture.setAttribute("class", "et-spark");
    const x = (i) => (values.length < 2 ? width : (i / (values.length - 1)) * width);
    const y = (v) => height - 1 - (Math.min(v, top) / (top || 1)) * (height - 2);
    const points = values.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`);
    if (points.length === 1) points.unshift(`0,${y(values[0]).toFixed(1)}`);
    for (const [tag, list] of [["polygon", [`0,${height}`, ...points, `${width},${height}`]], ["polyline", points]]) {
      const shape = document.createElementNS(NS, tag);
      shape.setAttribute("points", list.join(" "));
      picture.append(shape);
    }
    return picture;
  };

  et.renderer("resources", () => (slot, data) => {
    slot.className = "et-slot et-resources";
    slot.replaceChildren(
      ...data.gauges.map((g) =>
        et.node("div", { class: "et-gauge", "data-gauge": g.name },
          et.node("span", { class: "et-gauge-name" }, g.label), et.node("span", { class: "et-gauge-value" }, g.text),
          spark(g.history, g.top)))
    );
  });

  const answers = (block) => et.node("div", { class: "et-answer" }, et.node("small", {}, block.title), et.node("div", {}, block.text || "—"));

  et.renderer("samples", () => {
    let chosen = null; // index into data.steps; null follows the newest
    const draw = (slot, data) => {
      slot.className = "et-slot et-samples";
      if (!data.steps.length) return slot.replaceChildren();
      const last = data.steps.length - 1;
      const at = chosen === null ? last : Math.min(chosen, last);
      const move = (to) => {
        chosen = to >= last ? null : Math.max(0, to);
        draw(slot, data);
      };
      const arrow = (text, to, name) => et.node("button", { type: "button", class: "et-mini", "aria-label": name, disabled: to < 0 || to > last, onclick: () => move(to) }, text);
      const [first, now] = [data.steps[0], data.steps[at]];
      const cards = now.samples.map((sample, i) => {
        const before = at > 0 ? first.samples.find((s) => s.prompt === sample.prompt) : null;
        const pair = [before && answers({ title: first.title, text: before.answer }), answers({ title: now.title, text: sample.answer })].filter(Boolean);
        return et.node("div", { class: "et-sample" }, et.node("div", { class: "et-prompt" }, sample.prompt), et.node("div", { class: "et-pair" }, ...pair));
      });
      slot.replaceChildren(
        et.node("div", { class: "et-head" }, et.node("span", { class: "et-grow" }, data.title),
          arrow("‹", at - 1, data.previous_label), et.node("span", { class: "et-at" }, now.title), arrow("›", at + 1, data.next_label)),
        ...cards);
    };
    return draw;
  });

  et.renderer("log", () => {
    let opened = null; // null: open only when the run failed
    return (slot, data) => {
      slot.className = "et-slot et-log";
      const old = slot.querySelector("pre");
      const atEnd = !old || old.scrollHeight - old.scrollTop - old.clientHeight < 30;
      const position = old?.scrollTop ?? 0;
      if (!data.lines.length) return slot.replaceChildren();
      const fold = et.node("details", { open: opened ?? data.open });
      const text = et.node("pre", {}, data.lines.join("\n"));
      const summary = et.node("summary", { onclick: () => (opened = !fold.open) }, data.title);
      fold.append(summary, text);
      slot.replaceChildren(fold);
      text.scrollTop = atEnd ? text.scrollHeight : position;
    };
  });
})();
