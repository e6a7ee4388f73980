"use strict";
// Walks through the backward pass: marks what a step computes and leaves out what comes later. Step 0 shows everything.
document.querySelectorAll(".graph").forEach(graph => {
  const stepper = graph.querySelector(".stepper");
  if (!stepper) return;
  const slider = stepper.querySelector("input"), said = stepper.querySelector("output"), buttons = [...stepper.querySelectorAll("button")];
  const parts = [...graph.querySelectorAll("[data-step]")], last = Number(slider.max);

  const show = () => {
    const step = Number(slider.value);
    graph.classList.toggle("stepping", step > 0);
    parts.forEach(part => {
      const own = Number(part.dataset.step);
      part.classList.toggle("now", step > 0 && own === step);
      part.classList.toggle("later", step > 0 && own > step);
    });
    said.textContent = step ? "step " + step + " of " + last : "all " + last + " steps";
    slider.setAttribute("aria-valuetext", said.textContent);
    buttons.forEach(button => button.setAttribute("aria-disabled", String(step === (button.value > 0 ? last : 0))));
  };

  const move = () => {
    show();
    const node = [...graph.querySelectorAll(".node.now")].find(one => one.getClientRects().length);
    node?.scrollIntoView({ block: "nearest", inline: "nearest" });
  };

  slider.addEventListener("input", move);
  buttons.forEach(button => button.addEventListener("click", () => {
    slider.value = Number(slider.value) + Number(button.value);
    move();
  }));
  stepper.hidden = false;
  show();
});
