// The Models tab: clicks on what the server drew, the fields of a version, its two views.
(() => {
  const et = window.easytune;

  const fields = (form) =>
    Object.fromEntries([...(form?.querySelectorAll("[name]") ?? [])].map((field) => [field.name, field.value]));

  // The keys that are pressed to be compared, at most two, the latest last. What is pressed counts
  // at once: the server may still be answering the click before.
  let picked = [];
  const pick = (button) => {
    const pressed = [...document.querySelectorAll('#models-list [data-work="pick"][aria-pressed="true"]')];
    const [key, known] = [button.dataset.id, pressed.map((one) => one.dataset.id)];
    picked = [...picked.filter((one) => known.includes(one)), ...known.filter((one) => !picked.includes(one))];
    picked = picked.includes(key) ? picked.filter((one) => one !== key) : [...picked, key].slice(-2);
    for (const one of document.querySelectorAll('#models-list [data-work="pick"]')) {
      one.setAttribute("aria-pressed", picked.includes(one.dataset.id));
    }
    return picked;
  };

  // A button, a filter and a row are events of the gr.HTML around them.
  et.modelsClicks = (element, trigger) => {
    const tell = (told) => trigger("click", { ...told, at: Date.now() });
    element.addEventListener("click", (event) => {
      const button = event.target.closest("[data-work]");
      const row = event.target.closest("tr[data-entry]");
      if (button?.dataset.work === "pick") tell({ ...button.dataset, picked: pick(button) });
      else if (button && !button.disabled) tell({ ...fields(button.closest(".models-form")), ...button.dataset });
      else if (row && !event.target.closest("button, a, select, input")) tell({ work: "open", id: row.dataset.entry });
      const opens = button ? button.dataset.work === "open" : row;
      // On a narrow page the sheet lies below the whole list.
      if (opens && innerWidth <= 900) {
        setTimeout(() => document.querySelector("#models-right")?.scrollIntoView({ behavior: "smooth" }), 500);
      }
    });
    element.addEventListener("change", (event) => {
      const select = event.target.closest("select[data-filter]");
      if (!select) return;
      const all = [...element.querySelectorAll("select[data-filter]")];
      tell({ work: "filter", filters: Object.fromEntries(all.map((one) => [one.dataset.filter, one.value])) });
    });
  };

  et.modelsShow = (view) => {
    document.querySelector("#et-models").dataset.view = view;
    return [];
  };

  // Open the Data tab, so that a version can be shown there.
  et.openDataset = async (wanted) => {
    if (!wanted) return wanted;
    et.openTab("tab_data");
    for (let tries = 0; tries < 100 && !document.querySelector("#et-data"); tries++) {
      await new Promise((done) => setTimeout(done, 50));
    }
    return wanted;
  };
})();
