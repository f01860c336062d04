// The Train tab: files made in the browser, and texts the server writes following the language.
(() => {
  const et = window.easytune;

  et.saveFile = (name, text) => {
    const url = URL.createObjectURL(new Blob([text], { type: "application/yaml" }));
    const link = Object.assign(document.createElement("a"), { href: url, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };

  et.copyText = (text) => {
    et.copy(text, document.querySelector("#train-copy"));
  };

  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-et-lang]")) return;
    setTimeout(() => document.querySelector("#train-relabel")?.click(), 60);
  });
})();
