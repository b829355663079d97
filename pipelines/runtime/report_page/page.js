// Says what a plot shows where the pointer is, or where the arrow keys have gone.
for (const figure of document.querySelectorAll("figure")) {
  const points = JSON.parse(figure.dataset.points);
  const area = figure.querySelector(".area"), mark = figure.querySelector("i"), told = figure.querySelector("output");
  let at = points.length;
  const show = (index) => {
    at = Math.max(0, Math.min(points.length - 1, index));
    mark.style.left = `${100 * points[at][0]}%`;
    mark.hidden = false;
    told.textContent = points[at][1];
  };
  const hide = () => { mark.hidden = true; told.textContent = "\u00a0"; };
  area.addEventListener("pointermove", (event) => {
    const box = area.getBoundingClientRect(), part = (event.clientX - box.left) / box.width;
    let nearest = 0;
    points.forEach(([x], index) => {
      if (Math.abs(x - part) < Math.abs(points[nearest][0] - part)) nearest = index;
    });
    show(nearest);
  });
  area.addEventListener("pointerleave", hide);
  figure.addEventListener("blur", hide);
  figure.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) { show(at + step); event.preventDefault(); }
  });
}
