"use strict";
document.documentElement.classList.add("scripted"); // the arrows of headings that sort are shown where they do
// A click on a heading sorts its table by that column, again the other way round; empty cells stay last.
for (const button of document.querySelectorAll("table.sorts thead button")) {
  button.addEventListener("click", () => {
    const heading = button.closest("th");
    const body = heading.closest("table").tBodies[0];
    const up = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of heading.closest("thead").querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const place = Number(heading.dataset.column);
    const key = (row) => row.cells[place].dataset.value ?? row.cells[place].textContent.trim();
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return up ? order : -order;
    });
    body.append(...rows);
  });
}
// One clip at a time: two sounds at once are none.
document.addEventListener("play", (event) => {
  for (const video of document.querySelectorAll("video")) if (video !== event.target) video.pause();
}, true);
