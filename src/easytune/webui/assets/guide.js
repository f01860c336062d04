// The guide above the form, and the reason under each control that an intent has set.
(() => {
  const et = window.easytune;
  const root = document.documentElement;
  const STEPS = 4;
  const OFF = "easytune-guide-off", STEP = "easytune-guide-step";

  // --- the guide: which step is open is the browser's alone -----------------------
  // On the root element, so that nothing flickers while the page is built.
  const step = () => Math.min(Math.max(Number(sessionStorage.getItem(STEP)) || 1, 1), STEPS);
  const isOff = () => Boolean(localStorage.getItem(OFF) || sessionStorage.getItem(OFF));
  const show = () => {
    root.dataset.guide = isOff() ? "off" : step();
    for (let number = 1; number <= STEPS; number++) {
      const button = document.getElementById(`guide-go-${number}`);
      if (number === step()) button?.setAttribute("aria-current", "step");
      else button?.removeAttribute("aria-current");
    }
  };
  const go = (number) => {
    sessionStorage.setItem(STEP, number);
    show();
  };
  // What a check finds stays in view until somebody scrolls away.
  const followCheck = () => {
    const story = document.getElementById("check-story");
    if (!story) return;
    const grown = new ResizeObserver(() => story.scrollIntoView({ behavior: "smooth", block: "nearest" }));
    const leave = () => grown.disconnect();
    grown.observe(story);
    for (const sign of ["wheel", "touchmove", "keydown"]) addEventListener(sign, leave, { once: true, passive: true });
  };
  const press = (id) => document.getElementById(id)?.click();
  const acts = {
    "guide-show": () => {
      localStorage.removeItem(OFF);
      sessionStorage.removeItem(OFF);
      show();
    },
    "guide-leave": () => {
      sessionStorage.setItem(OFF, "1");
      show();
    },
    "guide-never": () => {
      localStorage.setItem(OFF, "1");
      show();
    },
    "guide-next": () => go(step() + 1),
    "guide-previous": () => go(step() - 1),
    "guide-upload": () => press("train-upload"),
    "guide-start": () => press("train-start"),
    "guide-check": () => {
      document.getElementById("section-costs")?.scrollIntoView({ behavior: "smooth", block: "center" });
      followCheck();
      press("check-start");
    },
  };
  for (let number = 1; number <= STEPS; number++) acts[`guide-go-${number}`] = () => go(number);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[id^='guide-']");
    if (button) acts[button.id]?.();
  });
  show();

  // --- clicks on what the server wrote ---------------------------------------------
  // The attribute data-<name> of what was clicked goes to the server.
  et.sendClicks = (element, trigger, name) => {
    element.addEventListener("click", (event) => {
      const button = event.target.closest(`[data-${name}]`);
      if (button) trigger("click", { [name]: button.dataset[name] });
    });
  };

  // --- reasons under the controls ----------------------------------------------------
  const CLASS = "et-why";
  let marks = {}, send = () => {}, waiting = false;
  const control = (path) => document.getElementById(`option-${path.replace(".", "-")}`);

  const written = (path, mark) => {
    const line = et.node("div", { class: CLASS, "data-path": path });
    if (mark.mark) line.append(et.node("b", {}, mark.mark), " ");
    line.append(et.node("span", {}, mark.why));
    if (mark.back) {
      const press = () => send("click", { back: path });
      line.append(" ", et.node("button", { type: "button", class: "et-mini", onclick: press }, mark.back));
    }
    line.dataset.said = JSON.stringify(mark);
    return line;
  };

  // The server writes the fold anew with every edit; it stays as it was left.
  let isOpen = false;
  document.addEventListener("toggle", (event) => {
    if (event.target.matches?.(".guide-diff")) isOpen = event.target.open;
  }, true);

  const write = () => {
    waiting = false;
    for (const fold of document.querySelectorAll(".guide-diff")) fold.open = isOpen;
    for (const line of document.querySelectorAll(`.${CLASS}`)) {
      if (!(line.dataset.path in marks)) line.remove();
    }
    for (const [path, mark] of Object.entries(marks)) {
      const block = control(path);
      if (!block) continue;
      const before = block.querySelector(`:scope > .${CLASS}`);
      if (before?.dataset.said === JSON.stringify(mark)) continue;
      before?.remove();
      block.append(written(path, mark));
      block.classList.toggle("et-changed", Boolean(mark.back));
    }
    for (const block of document.querySelectorAll(".et-changed")) {
      if (!block.querySelector(`:scope > .${CLASS} button`)) block.classList.remove("et-changed");
    }
    show();
  };

  // Controls in a fold are made when it is opened, and some anew when they are shown again.
  const soon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(write);
  };

  et.mountMarks = (element, props, watch, trigger) => {
    send = trigger;
    const update = () => {
      marks = props.value || {};
      soon();
    };
    watch("value", update);
    update();
    const form = document.getElementById("train-form");
    if (form) new MutationObserver(soon).observe(form, { childList: true, subtree: true });
  };
})();
