// Language, light and dark, clipboard: what the whole page shares.
(() => {
  const et = window.easytune;

  // --- a page that opens quickly ----------------------------------------------
  // Gradio compares every component with every target of every event, and Svelte watches each look
  // at a plain list or object: more than a third of the time it takes to open the page. Events never
  // change, and what has a prototype of its own is not watched.
  class Still extends Array {}
  const still = (list) => Object.setPrototypeOf(list, Still.prototype);
  const unwatched = Object.create(Object.prototype);
  const events = still(window.gradio_config?.dependencies ?? []);
  for (const event of events) {
    Object.values(Object.setPrototypeOf(event, unwatched)).filter(Array.isArray).forEach(still);
    // What follows another event belongs to no component; without one the whole page is searched.
    for (const target of event.targets) target[0] ??= window.gradio_config.layout.id;
  }

  // --- language ---------------------------------------------------------------
  const cookie = (name) =>
    document.cookie.split("; ").find((part) => part.startsWith(name + "="))?.slice(name.length + 1);

  const preferred = () => {
    const asked = (navigator.languages || []).map((tag) => tag.slice(0, 2));
    return [cookie("et_lang"), et.defaultLanguage, ...asked, "en"].find((l) => l in et.languages);
  };

  // Gradio's bundle has its locale switch in a module with a hashed name; find it where it was loaded.
  const gradioCore = async () => {
    for (let attempt = 0; attempt < 100; attempt++) {
      const loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
      const links = [...document.querySelectorAll("link[href], script[src]")].map((n) => n.href || n.src);
      const url = [...loaded, ...links].find((name) => /\/assets\/core-[^/]*\.js$/.test(name));
      const core = url ? await import(url) : null;
      if (core?.changeLocale) return core;
      await new Promise((done) => setTimeout(done, 50));
    }
    return null;
  };

  et.language = preferred();
  et.text = (name) => et.texts[et.language]?.[name] ?? et.texts.en[name] ?? name;

  et.setLanguage = async (lang) => {
    et.language = lang;
    document.cookie = `et_lang=${lang}; path=/; max-age=31536000; samesite=lax`;
    (await gradioCore())?.changeLocale(et.languages[lang]);
    document.documentElement.lang = et.languages[lang];
    showSwitches();
    et.translateTabs();
  };

  // Whether the timer of each named tab is to tick now; those that tick at times are left alone
  // while their tab is open.
  et.ticking = async (steady, atTimes) => {
    await new Promise((done) => setTimeout(done));
    const open = document.querySelector("#et-tabs > div button[role=tab][aria-selected=true]")?.id;
    const isOpen = (name) => open === `et-tab-${name}-button`;
    const set = (active) => ({ __type__: "update", active });
    return [
      ...steady.map((name) => set(isOpen(name))),
      ...atTimes.map((name) => (isOpen(name) ? undefined : set(false))),
    ];
  };

  // Gradio translates the label of a tab only while that tab is open.
  et.translateTabs = () => {
    const names = Object.keys(et.texts.en).filter((name) => name.startsWith("tab_"));
    for (const button of document.querySelectorAll('button[role="tab"]')) {
      const node = [...button.childNodes].find((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
      const name = names.find((n) => Object.values(et.texts).some((texts) => texts[n] === node?.data.trim()));
      if (name) node.data = et.text(name);
    }
  };

  // --- the open tab, which a reload opens again --------------------------------
  // Those of a tab's own panels are not among them.
  const tabs = () => [...document.querySelectorAll('button[role="tab"]')].filter((one) => !one.closest("#data-views"));
  const tabName = (button) =>
    Object.keys(et.texts.en).find((name) =>
      name.startsWith("tab_") && Object.values(et.texts).some((texts) => texts[name] === button.textContent.trim()));
  et.openTab = (name) => tabs().find((button) => tabName(button) === name)?.click();
  document.addEventListener("click", (event) => {
    const button = event.target.closest('button[role="tab"]');
    if (button && tabs().includes(button)) sessionStorage.setItem("easytune-tab", tabName(button) ?? "");
  });
  const reopenTab = () => {
    const name = sessionStorage.getItem("easytune-tab");
    if (name && name !== "tab_train") et.openTab(name);
  };

  // --- light and dark -----------------------------------------------------------
  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const wantsDark = () => {
    const chosen = localStorage.getItem("et_theme");
    return chosen ? chosen === "dark" : systemDark.matches;
  };
  const applyTheme = () => {
    if (document.body.classList.contains("dark") !== wantsDark()) {
      document.body.classList.toggle("dark", wantsDark());
    }
    document.documentElement.style.colorScheme = wantsDark() ? "dark" : "light";
  };

  // --- the header's switches ----------------------------------------------------
  const showSwitches = () => {
    for (const button of document.querySelectorAll("[data-et-lang]")) {
      button.setAttribute("aria-pressed", button.dataset.etLang === et.language);
    }
    for (const node of document.querySelectorAll("[data-et-text]")) node.textContent = et.text(node.dataset.etText);
    for (const button of document.querySelectorAll("[data-et-theme]")) {
      const name = et.text(wantsDark() ? "light_mode" : "dark_mode");
      button.title = name;
      button.setAttribute("aria-label", name);
    }
  };

  document.addEventListener("click", (event) => {
    const lang = event.target.closest("[data-et-lang]");
    if (lang) et.setLanguage(lang.dataset.etLang);
    if (event.target.closest("[data-et-theme]")) {
      localStorage.setItem("et_theme", wantsDark() ? "light" : "dark");
      applyTheme();
      showSwitches();
    }
    const copy = event.target.closest("[data-et-copy]");
    if (copy) et.copy(copy.dataset.etCopy, copy);
  });

  // --- clipboard ----------------------------------------------------------------
  const copyTheOldWay = (text) => {
    // navigator.clipboard exists only on https and on this machine.
    const area = Object.assign(document.createElement("textarea"), { value: text });
    area.style.cssText = "position:fixed;opacity:0";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  };

  et.copy = async (text, button) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      copyTheOldWay(text);
    }
    if (!button) return;
    const before = button.dataset.etBefore ?? button.textContent;
    button.dataset.etBefore = before;
    button.textContent = et.text("copied");
    setTimeout(() => (button.textContent = before), 1500);
  };

  // --- components that draw themselves -------------------------------------------
  const renderers = {};
  et.renderer = (kind, make) => (renderers[kind] = make);

  // Called from a gr.HTML: draws its value now and whenever it changes. What the user has chosen
  // (a fold opened, a curve hidden) lives in the closure `make` returns, not in the DOM.
  et.mount = (kind, element, props, watch) => {
    const draw = renderers[kind]();
    const update = () => {
      let slot = element.querySelector(".et-slot");
      if (!slot) element.append((slot = Object.assign(document.createElement("div"), { className: "et-slot" })));
      props.value ? draw(slot, props.value) : slot.replaceChildren();
    };
    watch("value", update);
    update();
    let width = 0;
    new ResizeObserver(() => {
      if (element.clientWidth && element.clientWidth !== width) {
        width = element.clientWidth;
        update();
      }
    }).observe(element);
  };

  et.node = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== false && value != null) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children);
    return node;
  };

  // --- a run that was just started -------------------------------------------------
  // On a narrow page the live run lies below the whole form.
  let runBefore = null;
  document.addEventListener("click", (event) => {
    if (event.target.closest("#train-start")) runBefore = document.querySelector("#et-run-id textarea, #et-run-id input")?.value;
  }, true);
  et.showRun = (run) => {
    const live = document.querySelector("#train-live");
    if (run !== runBefore && innerWidth <= 900) live.scrollIntoView({ behavior: "smooth", block: "start" });
    return [];
  };

  // --- lost connection ------------------------------------------------------------
  // Gradio would raise a toast for every missed tick; one quiet line says it better.
  const banner = et.node("div", { id: "et-offline", role: "status", hidden: true });
  document.body.append(banner);
  const checkConnection = async () => {
    const answer = await fetch("healthz", { cache: "no-store" }).catch(() => null);
    banner.textContent = et.text("offline");
    banner.hidden = Boolean(answer?.ok);
    setTimeout(checkConnection, banner.hidden ? 5000 : 1000);
  };
  checkConnection();

  // Gradio sets its own idea of dark when it mounts; ours wins.
  new MutationObserver(applyTheme).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  systemDark.addEventListener("change", applyTheme);
  applyTheme();
  const waitForHeader = setInterval(() => {
    if (document.querySelector("[data-et-lang]")) {
      clearInterval(waitForHeader);
      showSwitches();
      et.translateTabs();
      reopenTab();
    }
  }, 30);
  et.setLanguage(et.language);
})();
