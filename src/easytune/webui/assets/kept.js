// What a tab keeps in this browser, and what another tab sends a visitor to it with.
(() => {
  const et = window.easytune;
  const read = (key) => {
    try {
      return JSON.parse(localStorage.getItem(key) || "null") ?? {};
    } catch {
      return {};
    }
  };
  const take = (key) => {
    const value = sessionStorage.getItem(key) ?? "";
    sessionStorage.removeItem(key);
    return value;
  };
  // `sent` names what others send: each becomes a field of what the tab is entered with.
  et.kept = (key, tab, sent) => {
    // Read once: while the page takes its values, half of them are kept already.
    const left = read(key);
    return {
      keep: (values) => localStorage.setItem(key, JSON.stringify(values)),
      entering: () => ({ ...left, ...Object.fromEntries(sent.map((name) => [name, take(`${key}-${name}`)])) }),
      open: (name, value) => {
        sessionStorage.setItem(`${key}-${name}`, value);
        et.openTab(tab);
      },
    };
  };
})();
