// The Evaluate tab: its views, what stays in this browser, and the ways to it from other tabs.
(() => {
  const et = window.easytune;
  const memory = et.kept("easytune-evaluate", "tab_evaluate", ["model", "evaluation"]);

  // Called when the tab is opened: what was left here, and what another tab asked for.
  et.evaluateEntering = () => memory.entering();
  et.evaluateKeep = (yaml, view) => {
    if (yaml) memory.keep({ yaml, view });
    return [];
  };
  et.evaluateShow = (view) => {
    document.querySelector("#et-evaluate").dataset.view = view;
    return [];
  };

  document.addEventListener("click", (event) => {
    const model = event.target.closest("[data-et-evaluate]");
    if (model) memory.open("model", model.dataset.etEvaluate);
    const shown = event.target.closest("[data-et-evaluation]");
    // Those of the tab itself are events of the gr.HTML around them.
    if (shown && !shown.closest("#et-evaluate")) memory.open("evaluation", shown.dataset.etEvaluation);
    if (event.target.closest("[data-et-lang]")) setTimeout(() => document.querySelector("#evaluate-relabel")?.click(), 60);
  });
})();
