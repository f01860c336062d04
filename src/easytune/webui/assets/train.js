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

  et.copyText = (text, form) => {
    et.copy(text, document.querySelector(`#${form}-copy`));
  };

  const until = async (holds) => {
    for (let tries = 0; tries < 200 && !holds(); tries++) await new Promise((done) => setTimeout(done, 50));
  };
  // Open the Data tab on its versions.
  et.openVersions = async (wanted) => {
    if (!wanted) return wanted;
    et.openTab("tab_data");
    await until(() => {
      document.querySelector("#data-tab-versions-button")?.click();
      return document.querySelector("#data-compare");
    });
    return wanted;
  };
  // Return once the later of two versions ("house-style@3 house-style@5") is the one shown there.
  et.versionShown = async (wanted) => {
    const number = wanted.split("@").pop();
    if (wanted) await until(() => document.querySelector(`#versions-part [aria-current][data-number="${number}"]`));
    if (wanted) document.querySelector("#data-diff")?.scrollIntoView({ behavior: "smooth" });
    return wanted;
  };

  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-et-lang]")) return;
    setTimeout(() => document.querySelector("#train-relabel")?.click(), 60);
  });
})();
