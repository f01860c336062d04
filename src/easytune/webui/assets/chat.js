// The Chat tab: conversations, messages, the answer as it grows; and what answers need anywhere:
// copy buttons on code, drawn formulas.
(() => {
  const et = window.easytune;
  const chat = (et.chat = {});
  const node = et.node;

  // --- answers ------------------------------------------------------------------
  // `html` comes from answers_html.py, which makes it safe.
  let math = null;
  const mathTool = () => {
    math ??= import(new URL(et.math.script, document.baseURI)).then((module) => {
      document.head.append(node("link", { rel: "stylesheet", href: et.math.style }));
      return module.default;
    });
    return math;
  };

  const drawFormulas = async (element) => {
    const formulas = element.querySelectorAll(".et-formula:not([data-drawn])");
    if (!formulas.length || !et.math) return;
    const tool = await mathTool().catch(() => null);
    for (const formula of formulas) {
      if (!tool || formula.dataset.drawn) continue;
      formula.dataset.drawn = formula.textContent;
      const displayMode = formula.dataset.formula === "block";
      tool.render(formula.dataset.drawn, formula, { displayMode, throwOnError: false, maxSize: 30, maxExpand: 300 });
    }
  };

  // Put an answer into an element.
  et.answer = (element, html) => {
    if (element.etHtml === html) return;
    element.etHtml = html;
    element.innerHTML = html;
    for (const head of element.querySelectorAll(".et-code-head")) {
      const copy = node("button", { type: "button", class: "et-copy", "data-et-copy-code": true }, et.text("copy"));
      head.append(copy);
    }
    drawFormulas(element);
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-et-copy-code]");
    if (button) et.copy(button.closest(".et-code").querySelector("code").textContent, button);
  });

  // Blocks that are done stay as they are; only the last one is drawn again.
  const grow = (holder, done, last) => {
    while (holder.children.length > done.length + 1) holder.lastChild.remove();
    while (holder.children.length < done.length + 1) holder.append(node("div", { class: "et-part" }));
    done.forEach((html, place) => et.answer(holder.children[place], html));
    et.answer(holder.lastChild, last);
  };

  // --- where this page is ---------------------------------------------------------
  const KEY = "easytune-conversation";
  chat.remember = (id) => {
    sessionStorage.setItem(KEY, id);
    return [];
  };
  // Called when the tab is opened: what this page showed last, and the model another tab asked for.
  chat.entering = (held) => {
    const wanted = sessionStorage.getItem("easytune-chat-with") ?? "";
    sessionStorage.removeItem("easytune-chat-with");
    return [held[0] || sessionStorage.getItem(KEY) || "", wanted, ...held.slice(2)];
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-et-chat-with]");
    if (!button) return;
    et.chatWith(button.dataset.etChatWith);
  });
  et.chatWith = (model) => {
    sessionStorage.setItem("easytune-chat-with", model);
    et.openTab("tab_chat");
  };

  // --- scrolling ------------------------------------------------------------------
  const scroller = () => document.querySelector("#chat-scroll");
  // The end stays in sight until the reader scrolls away from it.
  let follows = true;
  let touched = 0;
  const follow = () => {
    const box = scroller();
    if (box && follows) box.scrollTop = box.scrollHeight;
  };
  for (const type of ["wheel", "touchmove", "pointerdown", "keydown"]) {
    document.addEventListener(type, (event) => {
      if (event.target.closest?.("#chat-scroll")) touched = performance.now();
    }, { capture: true, passive: true });
  }
  document.addEventListener("scroll", (event) => {
    if (event.target.id !== "chat-scroll") return;
    const box = event.target;
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
    if (atEnd || performance.now() - touched < 500) follows = atEnd;
  }, true);
  const grown = new ResizeObserver(follow);

  // --- messages ---------------------------------------------------------------------
  const ICONS = {
    copy: "M9 9h11v11H9zM5 15H4V4h11v1", edit: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
    retry: "M4 12a8 8 0 1 0 2.5-5.8L4 8M4 3v5h5", regenerate: "M4 12a8 8 0 1 0 2.5-5.8L4 8M4 3v5h5",
    undo: "M9 14 4 9l5-5M4 9h10a6 6 0 0 1 0 12h-3", continue: "M5 5l7 7-7 7M13 5l7 7-7 7",
    keep: "M6 3h12v18l-6-5-6 5z",
  };
  const icon = (name) => {
    const holder = node("span", { class: "et-glyph", "aria-hidden": "true" });
    holder.innerHTML = `<svg viewBox="0 0 24 24"><path d="${ICONS[name]}"/></svg>`;
    return holder;
  };

  const editor = (item, words, trigger, article) => {
    const area = node("textarea", { class: "et-edit", rows: Math.min(12, item.source.split("\n").length + 1) });
    area.value = item.source;
    const send = () => trigger("submit", { action: "edit", message: item.id, text: area.value });
    area.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) (event.preventDefault(), send());
      if (event.key === "Escape") article.classList.remove("et-editing"), area.parentElement.remove();
    });
    const cancel = () => (article.classList.remove("et-editing"), area.parentElement.remove());
    article.append(node("div", { class: "et-editor" }, area,
      node("span", { class: "et-buttons" },
        node("button", { type: "button", class: "et-mini et-primary", onclick: send }, words.send_edit),
        node("button", { type: "button", class: "et-mini", onclick: cancel }, words.cancel))));
    article.classList.add("et-editing");
    area.focus();
  };

  const act = (name, item, words, trigger, article) => {
    if (name === "copy") et.copy(item.source);
    if (name === "edit" && !article.classList.contains("et-editing")) editor(item, words, trigger, article);
    if (name === "retry" || name === "regenerate") trigger("submit", { action: "again" });
    if (name === "continue") trigger("submit", { action: "continue" });
    if (name === "undo") trigger("input", { action: "undo" });
    if (name === "keep") trigger("like", { message: item.id });
  };

  const button = (name, item, words, trigger, article) => {
    const made = node("button", { type: "button", class: "et-act", "data-act": name, title: words[name], "aria-label": words[name] }, icon(name));
    if (name === "retry" || name === "continue") made.append(words[name]);
    made.addEventListener("click", () => {
      act(name, item, words, trigger, article);
      if (name === "copy") {
        made.classList.add("et-done");
        setTimeout(() => made.classList.remove("et-done"), 1200);
      }
    });
    return made;
  };

  const thought = (title, open) => node("details", { class: "et-thinking", open }, node("summary", {}, title), node("div", { class: "et-prose" }));

  const message = (item, words, trigger) => {
    const article = node("article", { class: `et-message et-${item.role}`, "data-message": item.id });
    if (item.marker) article.append(node("div", { class: "et-marker" }, node("span", {}, item.marker)));
    if (item.thinking) {
      const fold = thought(words.thinking, false);
      et.answer(fold.lastChild, item.thinking);
      article.append(fold);
    }
    if (item.role === "assistant") {
      if (item.html) {
        const prose = node("div", { class: "et-prose" });
        et.answer(prose, item.html);
        article.append(prose);
      }
      if (item.failure) article.append(node("div", { class: "et-failure et-sentence", role: "alert" }, item.failure));
    } else article.append(node("div", { class: "et-said" }, item.source));
    const actions = item.actions.map((name) => button(name, item, words, trigger, article));
    const notes = (item.notes ?? []).map((text) => node("span", { class: "et-note" }, text));
    article.append(node("div", { class: "et-foot" }, ...actions,
      item.statistics ? node("span", { class: "et-figures" }, item.statistics) : "", ...notes));
    return article;
  };

  const emptyState = (value, trigger) =>
    node("div", { class: "et-chat-empty", id: "chat-empty" },
      node("h2", {}, value.empty.title), node("p", {}, value.empty.text),
      node("div", { class: "et-starters" },
        ...value.empty.starters.map((text) =>
          node("button", { type: "button", class: "et-starter", onclick: () => trigger("submit", { action: "ask", text }) }, text))));

  const drawMessages = (trigger) => {
    let drawn = new Map();
    let shown = null;
    return (slot, value) => {
      slot.className = "et-slot et-messages";
      const kept = new Map();
      const articles = value.items.map((item) => {
        const made = drawn.get(item.key) ?? message(item, value.words, trigger);
        kept.set(item.key, made);
        return made;
      });
      drawn = kept;
      place(slot, articles.length ? articles : [emptyState(value, trigger)]);
      if (shown !== value.id) follows = true;
      shown = value.id;
      follow();
    };
  };

  // Only what differs is touched: a hundred messages that stay cost nothing.
  const place = (slot, wanted) => {
    wanted.forEach((one, at) => slot.children[at] !== one && slot.insertBefore(one, slot.children[at] ?? null));
    while (slot.children.length > wanted.length) slot.lastChild.remove();
  };

  // --- the answer as it grows -----------------------------------------------------
  const drawLive = () => {
    let fold = null, prose = null, line = null, bar = null;
    return (slot, value) => {
      const writes = Boolean(value);
      document.querySelector("#chat-main")?.classList.toggle("et-writing", writes);
      if (!writes) {
        prose = null;
        slot.className = "et-slot";
        return slot.replaceChildren();
      }
      if (!prose) {
        follows = true;
        slot.className = "et-slot et-message et-assistant et-growing";
        fold = thought(value.words?.thinking ?? "", true);
        prose = node("div", { class: "et-prose" });
        bar = node("div", { class: "et-progress" }, node("i"));
        line = node("div", { class: "et-foot et-figures", role: "status" });
        slot.replaceChildren(fold, prose, bar, line);
      }
      fold.hidden = !value.thinking && !value.thought?.length;
      if (!fold.hidden) grow(fold.lastChild, value.thought, value.thinking);
      if (value.state === "answering" && value.done.length + value.last.length && !fold.dataset.folded) {
        fold.open = false;
        fold.dataset.folded = "yes";
      }
      grow(prose, value.done, value.last);
      bar.hidden = value.share == null;
      bar.firstChild.style.width = `${(value.share ?? 0) * 100}%`;
      line.textContent = value.line;
      line.dataset.state = value.state;
      follow();
    };
  };

  // --- the list of conversations ----------------------------------------------------
  const menu = (row, words, trigger, line) => {
    const send = (action, more = {}) => trigger("input", { action, id: row.id, ...more });
    const entry = (action, act, kind = "") => node("button", { type: "button", class: kind, "data-act": action, onclick: act }, words[action]);
    const close = () => line.querySelector("details")?.removeAttribute("open");
    const rename = () => {
      close();
      const field = node("input", { class: "et-rename", value: row.title, maxlength: 200 });
      let over = false;
      const end = (keep) => {
        if (over) return;
        over = true;
        line.classList.remove("et-renaming");
        field.remove();
        if (keep && field.value.trim() && field.value !== row.title) send("rename", { title: field.value });
      };
      field.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && !event.isComposing) end(true);
        if (event.key === "Escape") end(false);
      });
      field.addEventListener("blur", () => end(true));
      line.append(field);
      line.classList.add("et-renaming");
      field.select();
    };
    const remove = (event) => {
      const asked = event.currentTarget;
      if (asked.dataset.asked) return close(), send("delete");
      asked.dataset.asked = "yes";
      asked.textContent = words.delete_really;
    };
    const fold = node("details", { class: "et-menu" },
      node("summary", { "aria-label": words.more, title: words.more }, "⋯"),
      node("div", { class: "et-menu-box" }, entry("rename", rename),
        ...["export_markdown", "export_json", "export_jsonl"].map((name) =>
          entry(name, () => (close(), send(name.replace("export_", ""))))),
        entry("keep", () => (close(), trigger("submit", { id: row.id }))),
        entry("delete", remove, "et-danger")));
    return fold;
  };
  document.addEventListener("click", (event) => {
    for (const fold of document.querySelectorAll(".et-menu[open]")) if (!fold.contains(event.target)) fold.removeAttribute("open");
  });

  const drawList = (trigger) => (slot, value) => {
    slot.className = "et-slot et-conversations";
    if (slot.querySelector(".et-renaming, .et-menu[open]")) return;
    const lines = value.rows.map((row) => {
      const line = node("div", { class: "et-conversation", "aria-current": row.id === value.chosen ? "true" : null, "data-conversation": row.id });
      const pick = node("button", { type: "button", class: "et-pick", onclick: () => { drawers("none"); trigger("select", { id: row.id }); } },
        node("span", {}, row.title), node("small", {}, row.note));
      line.append(pick, menu(row, value.words, trigger, line));
      return line;
    });
    slot.replaceChildren(...(lines.length ? lines : [node("p", { class: "et-quiet" }, value.empty)]));
  };

  // --- narrow pages: both sides are drawers -------------------------------------------
  const drawers = (which) => {
    const row = document.querySelector("#chat");
    if (!row) return;
    const opens = which !== "none" && row.dataset.drawer !== which ? which : "none";
    row.dataset.drawer = opens;
  };
  chat.bar = () => (slot) => {
    slot.className = "et-slot et-chat-bar";
    if (slot.childElementCount) return;
    slot.append(
      node("button", { type: "button", class: "et-mini", "data-et-text": "chat_list", onclick: () => drawers("side") }, et.text("chat_list")),
      node("button", { type: "button", class: "et-mini", "data-et-text": "chat_settings", onclick: () => drawers("right") }, et.text("chat_settings")));
  };

  const kinds = { messages: drawMessages, live: drawLive, list: drawList, bar: chat.bar };
  chat.mount = (kind, element, props, watch, trigger) => {
    const draw = kinds[kind](trigger);
    const slot = element.querySelector(".et-slot");
    const update = () => (props.value || kind === "live" || kind === "bar") && draw(slot, props.value);
    watch("value", update);
    update();
    if (kind === "messages" || kind === "live") grown.observe(element);
  };

  // --- models in groups ---------------------------------------------------------------
  // Gradio's list has no headings: what stands behind the last mark becomes one.
  const MARK = " / ";
  const headings = (list) => {
    let before = null;
    for (const line of list.querySelectorAll("ul[role=listbox] li")) {
      const text = [...line.childNodes].find((part) => part.nodeType === Node.TEXT_NODE && part.data.includes(MARK));
      if (text) {
        const at = text.data.lastIndexOf(MARK);
        line.dataset.group = text.data.slice(at + MARK.length).trim();
        text.data = text.data.slice(0, at);
      }
      line.toggleAttribute("data-first", line.dataset.group !== before);
      before = line.dataset.group;
    }
  };
  document.addEventListener("focusin", (event) => {
    const list = event.target.closest?.(".et-models");
    if (!list) return;
    // What is typed searches all models, and not behind the name of the chosen one.
    setTimeout(() => event.target.select?.());
    // The list is there already when it is opened by the focus.
    headings(list);
    if (list.etWatched) return;
    list.etWatched = new MutationObserver(() => headings(list));
    list.etWatched.observe(list, { childList: true, subtree: true, characterData: true });
  });

  // --- the composer ---------------------------------------------------------------------
  // Enter that ends the input of Chinese, Japanese or Korean is not Enter that sends.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.isComposing && event.target.closest("#chat-text")) event.stopPropagation();
  }, true);
})();
