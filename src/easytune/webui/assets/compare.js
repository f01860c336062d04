// The answers of Compare side by side: stored turns, and the turn that is being answered.
(() => {
  const et = window.easytune;
  const { node } = et;
  const SLACK = 40; // pixels from the end that still count as reading along

  // What the user has opened, and the parts of the grid both components below draw into.
  const opened = new Set();
  const page = { slot: null, grid: null, drawn: "", now: null, live: null };

  const setText = (element, text) => {
    const old = element.firstChild;
    if (old?.nodeType === Node.TEXT_NODE && !old.nextSibling && text.startsWith(old.data)) {
      if (text.length > old.data.length) old.appendData(text.slice(old.data.length));
    } else if (element.textContent !== text) element.textContent = text;
  };

  // --- one answer ---------------------------------------------------------------
  const answer = (head, place, key, texts) => {
    const chip = node("span", { class: "compare-chip" });
    const stop = node("button", { type: "button", class: "et-mini compare-stop", "data-compare": "stop", "data-column": place, hidden: true }, texts.stop);
    const thought = node("div", { class: "compare-thought" });
    const fold = node("details", { class: "compare-thinking", hidden: true, open: opened.has(key), ontoggle: () => (fold.open ? opened.add(key) : opened.delete(key)) },
      node("summary", {}, texts.thinking), thought);
    const body = node("div", { class: "compare-text" });
    const problem = node("p", { class: "compare-problem", role: "alert", hidden: true });
    const values = ["seconds", "first_token", "speed", "tokens"].map((name) => [node("b"), node("span", {}, texts[name])]);
    const facts = node("div", { class: "compare-facts" }, ...values.map((pair) => node("div", {}, ...pair)));
    const element = node("article", { class: "compare-answer", "data-column": place },
      node("header", {}, node("span", { class: "compare-name" }, `${place + 1} · ${head.title}`), chip, stop), fold, problem, body, facts);
    let html = null;
    const draw = (now) => {
      element.dataset.state = now.state;
      setText(chip, now.chip ?? "");
      stop.hidden = !now.running;
      fold.hidden = !now.thinking;
      setText(thought, now.thinking ?? "");
      problem.hidden = !now.problem;
      setText(problem, now.problem ?? "");
      if (now.html == null) {
        if (html !== null) body.replaceChildren();
        html = null;
        setText(body, now.text ?? "");
      } else if (html !== now.html) {
        html = now.html;
        // Markdown or marked differences, both escaped on the server.
        body.innerHTML = html;
      }
      body.classList.toggle("compare-plain", now.html == null || Boolean(now.plain));
      facts.hidden = !now.facts;
      (now.facts ?? []).forEach((text, i) => setText(values[i][0], text));
    };
    return { element, draw };
  };

  const turn = (grid, number, prompt) => {
    const answers = grid.heads.map((head, place) => answer(head, place, `${grid.id}/${number}/${place}`, grid.texts));
    const line = node("div", { class: "compare-line" });
    const asked = node("div", { class: "compare-asked" }, node("div", { class: "compare-prompt", title: grid.texts.you }, prompt), line);
    const element = node("section", { class: "compare-turn" }, asked, node("div", { class: "compare-row" }, ...answers.map((one) => one.element)));
    const draw = (now) => {
      setText(line, now.line ?? "");
      now.answers.forEach((one, i) => answers[i]?.draw(one));
    };
    return { element, draw };
  };

  // --- the grid -----------------------------------------------------------------
  const heads = (grid) =>
    node("div", { class: "compare-heads compare-row" },
      ...grid.heads.map((head, place) => node("div", { class: "compare-head", title: head.note ? `${head.title}\n${head.note}` : head.title },
        node("b", {}, `${place + 1} · ${head.title}`), node("small", {}, head.note))));

  const atEnd = (box) => !box || box.scrollHeight - box.scrollTop - box.clientHeight < SLACK;

  const follow = (change) => {
    const along = atEnd(page.slot?.firstChild);
    change();
    const box = page.slot?.firstChild;
    if (box && along) box.scrollTop = box.scrollHeight;
  };

  const drawLive = () => {
    const { grid, now } = page;
    if (!grid || !now?.id || now.id !== grid.id || !page.slot?.firstChild) {
      page.live?.element.remove();
      page.live = null;
      return;
    }
    if (!page.live) {
      page.live = turn(grid, grid.turns.length, now.prompt);
      page.live.element.classList.add("compare-live");
      page.slot.firstChild.append(page.live.element);
      page.live.draw(now);
      page.slot.firstChild.scrollTop = page.slot.firstChild.scrollHeight;
    } else page.live.draw(now);
  };

  const drawGrid = () => {
    const { slot, grid } = page;
    const before = slot.firstChild;
    const [top, left, along] = [before?.scrollTop ?? 0, before?.scrollLeft ?? 0, atEnd(before)];
    page.live = null;
    if (grid.empty) return slot.replaceChildren(node("div", { class: "et-empty compare-empty" }, grid.empty));
    const box = node("div", { class: "compare-scroll", style: `--compare-columns: ${grid.heads.length}`, tabindex: "0" }, heads(grid));
    grid.turns.forEach((stored, number) => {
      const one = turn(grid, number, stored.prompt);
      one.draw(stored);
      box.append(one.element);
    });
    slot.replaceChildren(box);
    drawLive();
    box.scrollTop = along ? box.scrollHeight : top;
    box.scrollLeft = left;
  };

  et.renderer("compare-grid", () => (slot, value) => {
    const drawn = JSON.stringify(value);
    // Another width of the window alone changes nothing here.
    if (page.slot === slot && page.drawn === drawn && slot.firstChild) return;
    Object.assign(page, { slot, drawn, grid: value });
    drawGrid();
  });

  // Its own component holds nothing to see: it carries the running turn to the grid.
  et.renderer("compare-now", () => (_, value) => {
    page.now = value;
    follow(drawLive);
  });

  // A click on a button with data-compare is an event of the gr.HTML around it.
  et.compareClicks = (element, trigger) =>
    element.addEventListener("click", (event) => {
      const button = event.target.closest("[data-compare]");
      if (button) trigger("click", { ...button.dataset });
    });

  // --- what stays in this browser -------------------------------------------------
  const KEY = "easytune-compare";
  const read = () => {
    try {
      return JSON.parse(localStorage.getItem(KEY) || "null");
    } catch {
      return null;
    }
  };
  // Read once: while the page takes its values, half of them are kept already.
  const left = read();
  let opening = "";
  et.compareKept = () => {
    const kept = opening ? { ...left, opened: opening } : left;
    opening = "";
    return kept;
  };
  // Shows a comparison from elsewhere on the page: the tab asks for it when it opens.
  et.compareOpen = (comparison) => {
    opening = comparison;
    et.openTab("tab_compare");
  };
  et.compareKeep = (setup, live, batch, view) => {
    if (setup) localStorage.setItem(KEY, JSON.stringify({ setup, live, batch, view }));
    return [];
  };

  et.compareShow = (view) => {
    document.querySelector("#et-compare").dataset.view = view;
    return [];
  };

  document.addEventListener("click", (event) => {
    // What the server wrote follows the language.
    if (event.target.closest("[data-et-lang]")) setTimeout(() => document.querySelector("#compare-relabel")?.click(), 60);
  });

  // A narrow column cuts the name of its model off, and the button that removes it shows a cross.
  document.addEventListener("mouseover", (event) => {
    if (event.target.matches("#compare-models input")) event.target.title = event.target.value;
    if (event.target.matches(".compare-remove")) event.target.title = event.target.textContent.trim();
  });

  // --- voting with the keys 1 to 4, and Enter for the next ------------------------
  const VOTES = { 1: "left", 2: "right", 3: "tie", 4: "both-bad" };
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches("textarea, input:not([type=radio], [type=checkbox])") && !event.target.readOnly;
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping) return;
    if (event.key === "Enter" && event.target.closest("button, a")) return;
    const button = document.querySelector(event.key === "Enter" ? "#compare-next" : `#compare-vote-${VOTES[event.key]}`);
    if (!button || !button.offsetParent || button.disabled || event.target === button) return;
    event.preventDefault();
    button.click();
  });
})();
