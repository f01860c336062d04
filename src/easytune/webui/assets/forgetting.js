// What a run has forgotten: the figures by category, and what to do where it is too much.
(() => {
  const et = window.easytune;

  const remedy = (one) => {
    const asked = one.model ? { "data-et-chat-with": one.model } : { "data-et-remedy": one.name };
    return et.node("li", { "data-remedy": one.name }, et.node("span", {}, one.text),
      et.node("button", { type: "button", class: "et-mini", ...asked }, one.button));
  };

  const warning = (data) =>
    et.node("div", { class: "et-forgot", role: "alert" }, et.node("b", {}, data.title), et.node("p", {}, data.text),
      et.node("ul", {}, ...data.remedies.map(remedy)));

  const row = (one) => {
    const bar = et.node("i", { class: "et-bar" });
    bar.style.width = `${one.width * 100}%`;
    return et.node("tr", { "data-tone": one.tone }, et.node("th", { scope: "row" }, one.name),
      et.node("td", { class: "et-bar-cell" }, bar), et.node("td", {}, et.node("b", {}, one.score), ` ${one.interval}`),
      et.node("td", {}, String(one.sequences)));
  };

  const table = (data) => {
    const [category, score, texts] = data.heads.map((name) => et.node("th", { scope: "col" }, name));
    return et.node("table", { class: "et-categories" },
      et.node("thead", {}, et.node("tr", {}, category, et.node("td", {}), score, texts)),
      et.node("tbody", {}, ...data.categories.map(row)));
  };

  const fact = (one) => et.node("div", { "data-fact": one.name }, et.node("dt", {}, one.label), et.node("dd", {}, one.value));

  et.renderer("forgetting", () => {
    let opened = false;
    return (slot, data) => {
      slot.className = "et-slot et-forgetting-slot";
      const fold = et.node("details", { open: opened });
      fold.append(et.node("summary", { onclick: () => (opened = !fold.open) }, data.title),
        et.node("dl", {}, ...data.facts.map(fact)), et.node("p", { class: "et-quiet" }, data.explained));
      if (data.categories.length) fold.append(table(data));
      slot.replaceChildren(...(data.warning ? [warning(data.warning)] : []), fold);
    };
  });
})();
