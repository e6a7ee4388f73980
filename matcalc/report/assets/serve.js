"use strict";
// The page works without this script: it reads along while one types, and puts answers into the places where the server puts them.
(() => {
  const form = document.getElementById("ask"), result = document.getElementById("result"), live = document.getElementById("live");
  const boxes = [...form.elements].filter(box => box.name), WAIT = 250;
  const earlier = document.getElementById("earlier");
  let typed, asking, reading, answered;

  const filled = () => Object.fromEntries(boxes.map(box => [box.name, box.value]));
  const chosen = box => box.value && !(box.matches("select") && box.selectedIndex === 0);
  const address = () => "#" + new URLSearchParams(boxes.filter(chosen).map(box => [box.name, box.value]));
  const keep = () => history.replaceState(null, "", location.pathname + address());
  const age = () => {
    const old = result.childElementCount > 0 && answered !== address();
    if (old && earlier.hidden) say("the answer below is to an earlier question");
    earlier.hidden = !old;
  };
  const say = words => { live.textContent = ""; live.textContent = words; };

  const post = async (path, signal) => {
    const response = await fetch(path, { method: "POST", body: new URLSearchParams(filled()), signal });
    if (!response.ok) throw new Error(await response.text());
    return response.json();
  };

  // Makes an element like another one and keeps what is the same in it: a list that is open stays open, a button keeps the focus.
  const become = (old, other) => {
    if (old.nodeName !== other.nodeName || old.nodeType !== Node.ELEMENT_NODE) {
      if (!old.isEqualNode(other)) old.replaceWith(other);
      return;
    }
    for (const { name } of [...old.attributes]) if (name !== "open" && !other.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of other.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    children(old, other);
  };
  const children = (old, other) => {
    const fresh = [...other.childNodes];
    while (old.childNodes.length > fresh.length) old.lastChild.remove();
    fresh.forEach((node, k) => k < old.childNodes.length ? become(old.childNodes[k], node) : old.append(node));
  };
  // Puts what the server says into its places; where the focus was on what is gone, it goes to the box.
  const put = (place, html, box) => {
    const template = document.createElement("template"), inside = place.contains(document.activeElement);
    template.innerHTML = html;
    children(place, template.content);
    if (inside && !place.contains(document.activeElement)) box.focus();
  };
  const show = parts => {
    for (const name of ["f", "wrt", "claim", "variables", "spelled"]) {
      if (parts[name] === undefined) continue;
      const place = document.getElementById("said-" + name), box = document.getElementById(name);
      put(place, parts[name], box ?? form.elements.f);
      box?.setAttribute("aria-invalid", String(place.querySelector(".trouble") !== null));
    }
    if (parts.names !== undefined) document.getElementById("names").innerHTML = parts.names;
  };

  const read = async () => {
    clearTimeout(typed);
    age();
    reading?.abort();
    const mine = reading = new AbortController();
    try {
      show(await post("/echo", mine.signal));
    } catch (error) {
      if (error.name !== "AbortError") say(told(error));
    }
  };
  const told = error => error instanceof TypeError ? "The server does not answer; was it stopped?" : error.message.trim();

  const check = async () => {
    clearTimeout(typed);
    reading?.abort();
    asking?.abort();
    const mine = asking = new AbortController();
    keep();
    answered = address();
    earlier.hidden = true;
    result.setAttribute("aria-busy", "true");
    say("checking");
    try {
      const parts = await post("/check", mine.signal);
      show(parts);
      result.innerHTML = parts.result ?? "";
      if (result.querySelector(".graph")) draw();
      say(result.querySelector("[data-says]")?.dataset.says ?? "there is something to repair in the boxes");
      result.querySelector(".verdict")?.scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (error.name === "AbortError") return;
      const sentence = document.createElement("p");
      sentence.className = "banner";
      sentence.textContent = told(error);
      result.replaceChildren(sentence);
      say(sentence.textContent);
    }
    if (mine === asking) result.setAttribute("aria-busy", "false");
    age();
  };

  // graph.js looks for graphs once, when it is loaded: so it is loaded again for a new one.
  const draw = () => {
    const script = document.createElement("script");
    script.src = "/assets/graph.js";
    script.addEventListener("load", () => script.remove());
    document.head.append(script);
  };

  const fill = values => boxes.forEach(box => {
    box.value = values[box.name] ?? (box.matches("select") ? box.options[0].value : "");
    if (box.selectedIndex === -1) box.selectedIndex = 0;
  });

  form.addEventListener("input", () => {
    clearTimeout(typed);
    age();
    typed = setTimeout(() => { keep(); read(); }, WAIT);
  });
  form.addEventListener("submit", event => { event.preventDefault(); check(); });

  addEventListener("keydown", event => {
    const enter = event.key === "Enter" && !event.isComposing;
    const inLine = event.target.matches?.("#f, #claim") && !event.shiftKey && !event.altKey;
    if (enter && (event.ctrlKey || event.metaKey || inLine)) {
      event.preventDefault();
      check();
    } else if (event.key === "/" && !event.target.matches?.("input, textarea, select") && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      event.stopImmediatePropagation();
      document.getElementById("f").focus();
    }
  }, true);

  const copy = async (button, text) => {
    const done = await navigator.clipboard.writeText(text).then(() => true, () => false);
    const before = button.dataset.label ??= button.textContent;
    button.textContent = done ? "Copied" : "Not copied";
    say(button.textContent);
    setTimeout(() => { button.textContent = before; }, 1200);
  };

  addEventListener("click", event => {
    const button = event.target.closest?.("[data-spelled], [data-put], [data-fill], #link");
    if (!button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (button.dataset.fill) {
      event.preventDefault();
      fill(JSON.parse(button.dataset.fill));
      document.getElementById("f").focus();
      scrollTo({ top: 0 });
      check();
    } else if (button.dataset.put) {
      const box = document.getElementById(button.dataset.put);
      box.value = button.dataset.with;
      box.focus();
      keep();
      button.closest("#result") ? check() : read();
    } else copy(button, button.dataset.spelled ?? location.origin + location.pathname + address());
  });

  const open = () => {
    const values = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    if (!values.f) return false;
    fill(values);
    check();
    return true;
  };
  answered = address();
  addEventListener("hashchange", open);
  if (!open() && filled().f) keep();
})();
