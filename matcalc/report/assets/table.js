"use strict";
// Searches, filters and sorts the table of rules; the address after # holds what is shown, so that it can be linked to.
(() => {
  const table = document.getElementById("table");
  if (!table) return;
  const body = table.tBodies[0], rows = [...body.rows], text = rows.map(row => row.dataset.words);
  const query = document.getElementById("q"), count = document.getElementById("count"), none = document.getElementById("none");
  const facets = [...document.querySelectorAll("[data-facet]")], heads = [...table.querySelectorAll("th[data-key]")];
  let key = "", direction = 1;

  const chosen = facet => (facet.type === "checkbox" ? (facet.checked ? facet.value : "") : facet.value);

  const remember = () => {
    const state = new URLSearchParams();
    if (query.value) state.set("q", query.value);
    facets.forEach(facet => chosen(facet) && state.set(facet.dataset.facet, chosen(facet)));
    if (key) state.set("sort", (direction < 0 ? "-" : "") + key);
    const place = "#" + state;
    if (place === location.hash || (place === "#" && !location.hash)) return;
    try { history.replaceState(null, "", place); } catch { location.hash = place; }
  };

  const show = () => {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, i) => {
      const fits = words.every(word => text[i].includes(word)) && facets.every(f => !chosen(f) || (row.dataset[f.dataset.facet] ?? "").split("\n").includes(chosen(f)));
      row.hidden = !fits;
      shown += fits;
    });
    count.textContent = shown + " of " + rows.length + (rows.length === 1 ? " rule" : " rules");
    none.hidden = shown > 0;
  };

  const sort = (name, way) => {
    const head = heads.find(h => h.dataset.key === name);
    key = head ? name : "";
    direction = way;
    const value = row => row.cells[head.cellIndex].dataset.value;
    const order = (a, b) => {
      const x = value(a), y = value(b), p = Number(x), q = Number(y);
      return Number.isNaN(p) || Number.isNaN(q) ? x.localeCompare(y, undefined, { numeric: true }) : p === q ? 0 : p - q;
    };
    body.append(...(head ? [...rows].sort((a, b) => way * order(a, b)) : rows));
    heads.forEach(h => h.setAttribute("aria-sort", h !== head ? "none" : way > 0 ? "ascending" : "descending"));
  };

  const load = () => {
    const place = location.hash.slice(1);
    if (place === "search") query.focus();
    else if (place && !place.includes("=")) return; // a link to a heading
    const state = new URLSearchParams(place);
    query.value = state.get("q") || "";
    facets.forEach(facet => {
      const value = state.get(facet.dataset.facet) || "";
      if (facet.type === "checkbox") facet.checked = value !== ""; else facet.value = value;
    });
    const by = state.get("sort") || "";
    sort(by.replace(/^-/, ""), by.startsWith("-") ? -1 : 1);
    show();
    if (place.includes("=")) document.getElementById("rules").scrollIntoView();
  };

  const update = () => { show(); remember(); };
  query.addEventListener("input", update);
  facets.forEach(facet => facet.addEventListener("change", update));
  heads.forEach(head => head.querySelector("button").addEventListener("click", () => {
    sort(head.dataset.key, key === head.dataset.key ? -direction : Number(head.dataset.first || 1));
    remember();
  }));
  document.getElementById("reset").addEventListener("click", () => {
    query.value = "";
    facets.forEach(facet => { if (facet.type === "checkbox") facet.checked = false; else facet.value = ""; });
    update();
    query.focus();
  });
  addEventListener("hashchange", load);
  addEventListener("keydown", event => {
    if (event.key === "/" && !event.target.matches("input, select")) { event.preventDefault(); query.focus(); query.select(); }
    if (event.key === "Escape" && event.target === query) { query.value = ""; update(); }
  });
  load();
})();
