// The Data tab: clicks on what the server drew, one row in full, and mending it.
(() => {
  const et = window.easytune;

  // Anything with data-act tells the server what was pressed; rows also answer to Enter.
  et.dataClicks = (element, trigger) => {
    // The tabs inside this tab come with it.
    requestAnimationFrame(et.translateTabs);
    const press = (event) => {
      const node = event.target.closest("[data-act]");
      if (!node || !element.contains(node) || node.disabled || event.target.closest("a[href]")) return;
      trigger("click", { ...node.dataset, at: Date.now() });
    };
    element.addEventListener("click", press);
    element.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target.matches("tr[data-act]")) press(event);
    });
  };

  // A menu closes when something else is pressed, or one of its entries.
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll(".data-menu[open]")) {
      if (!menu.contains(event.target) || event.target.closest("a")) menu.open = false;
    }
  });

  // --- a whole folder, dropped --------------------------------------------------------
  // Gradio takes a dropped folder for one unreadable file; its button for folders takes many.
  const entries = async (reader) => {
    const all = [];
    for (;;) { // a reader tells of about a hundred at a time
      const some = await new Promise((done, failed) => reader.readEntries(done, failed));
      if (!some.length) return all;
      all.push(...some);
    }
  };

  const filesIn = async (entry) => {
    if (entry.name.startsWith(".")) return [];
    if (entry.isFile) return [await new Promise((done, failed) => entry.file(done, failed))];
    return (await Promise.all((await entries(entry.createReader())).map(filesIn))).flat();
  };

  document.addEventListener("drop", async (event) => {
    if (!event.target.closest?.("#data-files")) return;
    const dropped = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const input = document.querySelector("#data-folder")?.parentElement.querySelector("input[webkitdirectory]");
    if (!input || !dropped.some((entry) => entry.isDirectory)) return;
    event.preventDefault();
    event.stopPropagation();
    const chosen = new DataTransfer();
    for (const file of (await Promise.all(dropped.map(filesIn))).flat()) chosen.items.add(file);
    input.files = chosen.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }, true);

  et.dataAuthor = () => localStorage.getItem("easytune-author") ?? "";
  et.dataKeepAuthor = (name) => {
    localStorage.setItem("easytune-author", name ?? "");
    return [];
  };

  // --- one row in full ------------------------------------------------------------
  const button = (text, onclick, classes = "", more = {}) =>
    et.node("button", { type: "button", class: `et-mini ${classes}`, onclick, ...more }, text);

  const turn = (message) =>
    et.node("div", { class: `data-turn data-${message.role}` },
      et.node("small", {}, message.name), et.node("div", { dir: "auto" }, message.text),
      ...(message.more ? [et.node("em", {}, message.more)] : []));

  const field = (name, text, rows, extra = {}) => {
    const area = et.node("textarea", { rows, dir: "auto", spellcheck: "false", ...extra });
    area.value = text;
    return et.node("label", { class: "data-field" }, et.node("small", {}, name), area);
  };

  const height = (text) => Math.min(12, Math.max(1, text.split("\n").length + Math.floor(text.length / 90)));

  et.dataRow = (element, props, watch, trigger) => {
    let key = null; // which row is shown; what was typed belongs to it
    let mode = "look"; // look, fields or json
    const send = (act, more = {}) => trigger("click", { act, position: props.value.position, ...more, at: Date.now() });
    const go = (place) => trigger("click", { act: "row", place, at: Date.now() });

    const head = (row) => {
      const { texts, place, total } = row;
      const move = (to, sign, name) =>
        button(sign, () => go(to), "", { "aria-label": name, title: name, disabled: to < 0 || to >= total });
      return et.node("div", { class: "data-row-head" },
        et.node("b", { class: "et-grow" }, row.title),
        ...row.marks.map((mark) => et.node("span", { class: "data-mark" }, mark)),
        ...(row.changed ? [et.node("span", { class: `data-mark data-mark-${row.dropped ? "dropped" : "changed"}` }, row.changed)] : []),
        move(place - 1, "‹", texts.before), move(place + 1, "›", texts.after),
        button("×", () => go(""), "", { "aria-label": texts.close, title: texts.close, "data-close": "" }));
    };

    const look = (row) => {
      const stored = et.node("details", { class: "data-stored" }, et.node("summary", {}, row.texts.stored), et.node("pre", { dir: "auto" }, row.raw));
      return [...row.messages.map(turn), stored];
    };

    const mend = (row) => {
      const changes = row.fields.map((one) => ({ one, box: field(one.name, one.text, height(one.text)) }));
      const typed = (box) => box.querySelector("textarea").value;
      const keep = () => {
        const changed = changes.filter(({ one, box }) => typed(box) !== one.text);
        mode = "look";
        if (changed.length) send("keep", { changes: changed.map(({ one, box }) => ({ path: one.path, text: typed(box) })) });
        else draw();
      };
      return [changes.map(({ box }) => box), keep];
    };

    const json = (row) => {
      const box = field("JSON", row.raw, 14, { class: "data-json" });
      const keep = () => {
        mode = "look";
        send("keep", { raw: box.querySelector("textarea").value });
      };
      const hint = row.json_hint ? [et.node("p", { class: "data-hint" }, row.json_hint)] : [];
      return [[...hint, box], keep];
    };

    const become = (next) => () => {
      mode = next;
      draw();
    };

    // Whoever opens a row that cannot be used wants to mend it, or to be rid of it.
    const drop = (row) => row.problem ? [button(row.texts.drop, () => { mode = "look"; send("drop"); }, "data-stop", { "data-drop": "" })] : [];

    const editing = (row) => {
      const { texts } = row;
      const [boxes, keep] = mode === "json" ? json(row) : mend(row);
      const other = mode === "json" ? "fields" : "json";
      const change = row.fields.length ? [button(texts[`as_${other}`], become(other))] : [];
      return [...boxes, et.node("div", { class: "data-actions" }, button(texts.keep, keep, "data-main", { "data-keep": "" }),
        button(texts.cancel, become("look")), ...drop(row), et.node("span", { class: "et-grow" }), ...change)];
    };

    const actions = (row) => {
      const { texts } = row;
      const undo = row.changed ? [button(texts.undo, () => send("undo"), "", { "data-undo": "" })] : [];
      const tokens = row.xray && !row.problem ? [button(texts.tokens, () => send("xray"), "", { "data-tokens": "" })] : [];
      if (row.dropped || !row.editable) return [...undo, ...tokens];
      return [button(texts.edit, become(row.fields.length ? "fields" : "json"), "", { "data-edit": "" }),
        button(texts.drop, () => send("drop"), "data-stop", { "data-drop": "" }), ...undo, ...tokens];
    };

    const draw = () => {
      const slot = element.querySelector(".et-slot");
      const row = props.value;
      document.body.classList.toggle("data-row-open", Boolean(row));
      if (!row) {
        key = null;
        return slot.replaceChildren();
      }
      if (row.key !== key) mode = row.problem && row.editable && !row.changed ? (row.fields.length ? "fields" : "json") : "look";
      key = row.key;
      const said = row.problem ? [et.node("p", { class: "data-said", role: "alert" }, row.problem)] : [];
      const hint = row.hint ? [et.node("p", { class: "data-hint" }, row.hint)] : [];
      const whole = mode === "look" ? [...look(row), et.node("div", { class: "data-actions" }, ...actions(row))] : editing(row);
      slot.replaceChildren(et.node("div", { class: `data-panel${row.dropped ? " data-dropped" : ""}`, tabindex: "-1" },
        head(row), et.node("p", { class: "data-hint" }, row.source), ...said, ...hint, ...whole));
    };

    element.addEventListener("keydown", (event) => {
      const row = props.value;
      if (!row || event.target.matches("textarea, input")) return;
      if (event.key === "Escape") go("");
      if (event.key === "ArrowLeft" && row.place > 0) go(row.place - 1);
      if (event.key === "ArrowRight" && row.place < row.total - 1) go(row.place + 1);
    });
    watch("value", draw);
    draw();
  };

  // --- what the server wrote follows the language -----------------------------------
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-et-lang]")) return;
    setTimeout(() => document.querySelector("#data-relabel")?.click(), 60);
  });

  // Changes that are not saved live in the page only.
  addEventListener("beforeunload", (event) => {
    const bar = document.querySelector("#data-save");
    if (bar && !bar.classList.contains("data-hidden")) event.preventDefault();
  });
})();
