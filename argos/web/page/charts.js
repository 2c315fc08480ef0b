"use strict";
// Small charts of the last minutes, one line each.
(function (argos) {
  const SPAN_S = 300, GAP_S = 5;
  const CHARTS = [
    { key: "fps", title: "Results per second", unit: "", digits: 1, least: 1 },
    { key: "age", title: "Age of the newest result", unit: " ms", digits: 0, least: 100 },
    { key: "share", title: "Pixels computed", unit: " %", digits: 0, least: 100 },
    { key: "people", title: "People", unit: "", digits: 0, least: 4 },
  ];

  // History rows are [time, fps_in, fps_out, age_ms, share, people]; null where nothing is known.
  const numbers = {
    fps: (row) => row[2],
    age: (row) => row[3],
    share: (row) => (row[4] === null ? null : 100 * row[4]),
    people: (row) => row[5],
  };
  // Several cameras in one line: speeds and people add up, of ages the worst counts, of shares the mean.
  const together = {
    fps: (values) => values.reduce((a, b) => a + b, 0),
    age: (values) => Math.max(...values),
    share: (values) => values.reduce((a, b) => a + b, 0) / values.length,
    people: (values) => values.reduce((a, b) => a + b, 0),
  };

  function seriesOf(histories, key) {
    const longest = Math.max(0, ...histories.map((rows) => rows.length));
    const series = [];
    for (let back = longest; back >= 1; back--) {
      const rows = histories.map((rows) => rows[rows.length - back]).filter(Boolean);
      const values = rows.map(numbers[key]).filter((value) => value !== null && value !== undefined);
      series.push([rows[0][0], values.length ? together[key](values) : null]);
    }
    return series;
  }

  function makeCharts(place) {
    for (const chart of CHARTS) {
      const figure = document.createElement("figure");
      figure.dataset.chart = chart.key;
      figure.innerHTML = `<figcaption><span>${chart.title}</span><b></b></figcaption><canvas role="img"></canvas>`;
      place.append(figure);
      chart.canvas = figure.querySelector("canvas");
      chart.value = figure.querySelector("b");
      chart.canvas.addEventListener("pointermove", (event) => {
        const box = chart.canvas.getBoundingClientRect();
        chart.hover = (event.clientX - box.left) / box.width;
        paint(chart);
      });
      chart.canvas.addEventListener("pointerleave", () => {
        chart.hover = null;
        paint(chart);
      });
    }
  }

  function updateCharts(histories) {
    for (const chart of CHARTS) {
      chart.series = seriesOf(histories, chart.key);
      paint(chart);
    }
  }

  const shown = (chart, value) => (value === null ? "–" : value.toFixed(chart.digits) + chart.unit);

  function paint(chart) {
    const { canvas, series = [] } = chart, dpr = devicePixelRatio || 1;
    const style = getComputedStyle(document.documentElement), colour = (name) => style.getPropertyValue(name).trim();
    const w = (canvas.width = Math.round(canvas.clientWidth * dpr)), h = (canvas.height = Math.round(canvas.clientHeight * dpr));
    if (!w) return;
    const context = canvas.getContext("2d"), known = series.filter(([, value]) => value !== null);
    const most = Math.max(0, ...known.map(([, value]) => value)), top = Math.max(chart.least, most) * 1.08;
    const end = series.length ? series[series.length - 1][0] : 0;
    const x = (time) => w - ((end - time) / SPAN_S) * w, y = (value) => h - 4 * dpr - (value / top) * (h - 8 * dpr);
    context.strokeStyle = colour("--line");
    context.lineWidth = 1;
    for (const part of [0, 0.5]) {
      context.beginPath();
      context.moveTo(0, y(top * part));
      context.lineTo(w, y(top * part));
      context.stroke();
    }
    context.strokeStyle = colour("--accent");
    context.lineWidth = 2 * dpr;
    context.lineJoin = "round";
    context.beginPath();
    let broken = true, before = 0;
    for (const [time, value] of series) {
      if (time - before > GAP_S) broken = true;
      before = time;
      if (value === null) broken = true;
      else {
        context[broken ? "moveTo" : "lineTo"](x(time), y(value));
        broken = false;
      }
    }
    context.stroke();
    context.fillStyle = colour("--muted");
    context.font = `${10 * dpr}px system-ui, "DejaVu Sans", sans-serif`;
    context.fillText(`${(top / 1.08).toFixed(top < 10 ? 1 : 0)}${chart.unit}`, 4 * dpr, 11 * dpr);
    let at = known.length && series[series.length - 1][1] !== null ? series.length - 1 : -1, words = "";
    if (chart.hover != null && series.length) {
      const time = end - (1 - chart.hover) * SPAN_S;
      at = series.reduce((best, [t], n) => (Math.abs(t - time) < Math.abs(series[best][0] - time) ? n : best), 0);
      context.fillRect(x(series[at][0]), 0, dpr, h);
      words = ` at ${new Date(1000 * series[at][0]).toLocaleTimeString()}`;
    }
    const value = at < 0 ? null : series[at][1];
    chart.value.textContent = shown(chart, value) + words;
    canvas.setAttribute("aria-label", `${chart.title}: now ${shown(chart, value)}, at most ${shown(chart, known.length ? most : null)} in five minutes`);
  }

  Object.assign(argos, { makeCharts, updateCharts });
})((window.argos ??= {}));
