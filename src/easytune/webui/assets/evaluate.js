// The Evaluate tab: its views, what stays in this browser, and the ways to it from other tabs.
(() => {
  const et = window.easytune;
  const KEY = "easytune-evaluate";
  const MODEL = "easytune-evaluate-model";
  const OPENED = "easytune-evaluation";

  const read = () => {
    try {
      return JSON.parse(localStorage.getItem(KEY) || "null") ?? {};
    } catch {
      return {};
    }
  };
  const take = (key) => {
    const value = sessionStorage.getItem(key) ?? "";
    sessionStorage.removeItem(key);
    return value;
  };
  // Read once: while the page takes its values, half of them are kept already.
  const left = read();
  // Called when the tab is opened: what was left here, and what another tab asked for.
  et.evaluateEntering = () => ({ ...left, model: take(MODEL), evaluation: take(OPENED) });
  et.evaluateKeep = (yaml, view) => {
    if (yaml) localStorage.setItem(KEY, JSON.stringify({ yaml, view }));
    return [];
  };
  et.evaluateShow = (view) => {
    document.querySelector("#et-evaluate").dataset.view = view;
    return [];
  };

  const open = (key, value) => {
    sessionStorage.setItem(key, value);
    et.openTab("tab_evaluate");
  };
  document.addEventListener("click", (event) => {
    const model = event.target.closest("[data-et-evaluate]");
    if (model) open(MODEL, model.dataset.etEvaluate);
    const shown = event.target.closest("[data-et-evaluation]");
    // Those of the tab itself are events of the gr.HTML around them.
    if (shown && !shown.closest("#et-evaluate")) open(OPENED, shown.dataset.etEvaluation);
    if (event.target.closest("[data-et-lang]")) setTimeout(() => document.querySelector("#evaluate-relabel")?.click(), 60);
  });
})();
