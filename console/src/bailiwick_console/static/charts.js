// Draws the chart of the overview from its table, by uPlot. It reads numbers alone, and what it draws the table says too.
"use strict";

(() => {
  const place = document.getElementById("chart");
  const table = document.getElementById("decisions-table");
  if (!place || !table) {
    return;
  }
  const rows = [...table.tBodies[0].rows];
  const data = [
    rows.map((row) => Number(row.dataset.at)),
    ...[1, 2, 3].map((column) => rows.map((row) => Number(row.cells[column].textContent))),
  ];
  const SERIES = [
    { label: "Allowed", colour: "--good", dash: [] },
    { label: "Approval required", colour: "--warn", dash: [8, 4] },
    { label: "Denied", colour: "--bad", dash: [2, 3] },
  ];
  let drawn = null;

  const size = () => ({ width: place.clientWidth, height: place.clientHeight });

  function draw() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim() || "CanvasText";
    // A custom property may name another one, which only a painted element tells.
    const probe = document.createElement("span");
    place.append(probe);
    const painted = (name) => {
      probe.style.color = `var(${name})`;
      return getComputedStyle(probe).color || colour(name);
    };
    const axis = { stroke: painted("--dim"), grid: { stroke: painted("--line"), width: 1 }, ticks: { stroke: painted("--line") } };
    const series = SERIES.map((one) => ({
      label: one.label, stroke: painted(one.colour), dash: one.dash, width: 2, points: { show: false },
    }));
    probe.remove();
    if (drawn) {
      drawn.destroy();
    }
    drawn = new uPlot({
      ...size(),
      legend: { show: false },
      cursor: { drag: { setScale: false } },
      scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.1, 1)] } },
      axes: [{ ...axis, values: (_, at) => at.map((one) => new Date(one * 1000).toISOString().slice(11, 16)) }, axis],
      series: [{}, ...series],
    }, data, place);
  }

  place.hidden = false;
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  new ResizeObserver(() => drawn.setSize(size())).observe(place);
})();
