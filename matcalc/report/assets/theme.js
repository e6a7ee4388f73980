"use strict";
// Runs before the page is drawn, so that a chosen theme does not flash the other one first.
try {
  const chosen = localStorage.getItem("matcalc-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* storage may be refused on file:// */ }
document.documentElement.classList.add("script");
