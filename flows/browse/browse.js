"use strict";
const entries = [...document.querySelectorAll(".entry")];
let here = -1;

// One film at a time, and a film is fetched only when somebody comes near it.
document.addEventListener("play", (event) => {
  for (const film of document.querySelectorAll("video")) if (film !== event.target) film.pause();
}, true);

function stand(place) {
  if (place < 0 || place >= entries.length) return;
  entries[here]?.classList.remove("here");
  here = place;
  entries[here].classList.add("here");
  entries[here].focus({ preventScroll: true });
  entries[here].scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, video, button")) return;
  const film = entries[here]?.querySelector("video");
  if (event.key === "j") stand(here + 1);
  else if (event.key === "k") stand(here - 1);
  else if (event.key === "n") document.querySelector("a[rel=next]")?.click();
  else if (event.key === "p") document.querySelector("a[rel=prev]")?.click();
  else if (event.key === "/") document.querySelector("#where")?.focus();
  else if (event.key === "Enter" && film) { if (film.paused) film.play(); else film.pause(); }
  else return;
  event.preventDefault();
});
