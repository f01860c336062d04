// The Export tab: its views, what stays in this browser, and the ways to it from other tabs.
(() => {
  const et = window.easytune;
  const memory = et.kept("easytune-export", "tab_export", ["model", "export", "deploy"]);

  const enter = () => document.querySelector("#export-relabel")?.click();

  et.exportEntering = () => memory.entering();
  et.exportKeep = (yaml) => {
    if (yaml) memory.keep({ yaml });
    return [];
  };
  et.exportShow = (view) => {
    document.querySelector("#et-export").dataset.view = view;
    return [];
  };

  document.addEventListener("click", (event) => {
    const model = event.target.closest("[data-et-export]");
    if (model) memory.open("model", model.dataset.etExport);
    const served = event.target.closest("[data-et-deploy]");
    if (served) {
      memory.open("deploy", served.dataset.etDeploy);
      // From the tab itself nobody enters it.
      if (served.closest("#et-export")) enter();
    }
    const shown = event.target.closest("[data-et-exported]");
    // Those of the tab itself are events of the gr.HTML around them.
    if (shown && !shown.closest("#et-export")) memory.open("export", shown.dataset.etExported);
    if (event.target.closest("[data-et-lang]")) setTimeout(enter, 60);
  });
})();
