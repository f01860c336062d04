// Figures, pipelines, versions and differences of the Data tab: clicks on what the server drew.
(() => {
  const et = window.easytune;

  // A click on a button with data-work is an event of the gr.HTML around it.
  et.workClicks = (element, trigger) =>
    element.addEventListener("click", (event) => {
      const button = event.target.closest("[data-work]");
      if (button && !button.disabled) trigger("click", { ...button.dataset, at: Date.now() });
    });

  // What the server wrote follows the language.
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-et-lang]")) return;
    setTimeout(() => document.querySelectorAll(".work-relabel").forEach((button) => button.click()), 80);
  });
})();
