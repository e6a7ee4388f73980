"use strict";
(() => {
  const root = document.documentElement;
  const live = document.getElementById("live"), keys = document.getElementById("keys");
  const on = (selector, event, action) => document.querySelectorAll(selector).forEach(element => element.addEventListener(event, action));

  const toggleTheme = () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("matcalc-theme", root.dataset.theme); } catch { /* storage may be refused on file:// */ }
    live.textContent = root.dataset.theme + " theme";
  };

  const copy = async text => {
    try { await navigator.clipboard.writeText(text); return true; } catch { /* older browsers, and file:// in some */ }
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "unseen";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  };

  on("[data-copy], [data-text]", "click", async event => {
    const button = event.currentTarget;
    const done = await copy(button.dataset.text ?? document.querySelector(button.dataset.copy).textContent);
    const before = button.dataset.label ?? (button.dataset.label = button.textContent);
    button.textContent = live.textContent = done ? "Copied" : "Not copied";
    setTimeout(() => { button.textContent = before; }, 1200);
    button.focus();
  });

  on("#theme", "click", toggleTheme);
  on("#help", "click", () => keys.showModal());
  on("#keys-close", "click", () => keys.close());

  addEventListener("keydown", event => {
    if (event.target.matches("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const link = { "[": "a[rel=prev]", "]": "a[rel=next]", "i": "a.brand", "c": "a.to-claims" }[event.key];
    if (link) document.querySelector(link)?.click();
    else if (event.key === "t") toggleTheme();
    else if (event.key === "?") keys.open ? keys.close() : keys.showModal();
    else if (event.key === "/" && !document.getElementById("q")) location.href = document.querySelector("a.brand").href + "#search";
  });
})();
