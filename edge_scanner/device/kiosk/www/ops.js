"use strict";
/* The operator's page: the tables and the week's curve; the rest is `show` of common.js. */

const root = document.documentElement;
const box = document.getElementById("chart");
let plot = null;
let drawn = "";
let shown = null;

function row(...cells) {
  const line = document.createElement("tr");
  for (const text of cells) {
    const cell = document.createElement("td");
    if (typeof text === "string") {
      cell.textContent = text;
    } else {
      cell.append(text.vi);
      const english = document.createElement("span");
      english.className = "en";
      english.lang = "en";
      english.textContent = text.en;
      cell.append(english);
    }
    line.append(cell);
  }
  return line;
}

function local(doc, atS) {
  return new Date((atS + doc.utc_offset_s) * 1000);
}

function tables(doc) {
  document.getElementById("answered").replaceChildren(...doc.pulls.map((pull) => row(pull.case, pull.hours, pull.answered)));
  const lines = doc.week.slice(-24).reverse().map((hour) => {
    const at = local(doc, hour.at_s).toISOString();
    return row(`${at.slice(8, 10)}/${at.slice(5, 7)} ${at.slice(11, 16)}`, ...hour.texts);
  });
  document.getElementById("hours").replaceChildren(...lines);
}

function draw(doc) {
  const size = { width: box.clientWidth, height: box.clientHeight };
  const key = JSON.stringify([size, doc.week, doc.theme]);
  if (key === drawn || size.width === 0 || doc.week.length === 0) return;
  drawn = key;
  if (plot) plot.destroy();
  const font = '13px "Be Vietnam Pro"';
  const days = box.dataset.days.split(" ");
  const narrow = size.width < 600;
  const first = doc.week[0].at_s;
  const last = doc.week[doc.week.length - 1].at_s + 3600;
  const midnights = [];
  for (let at = first - ((first + doc.utc_offset_s) % 86400) + 86400; at < last; at += 86400) midnights.push(at);
  const axis = { stroke: colour("--soft"), font, ticks: { show: false }, grid: { stroke: colour("--line"), width: 1 } };
  plot = new uPlot(
    {
      ...size,
      legend: { show: false },
      cursor: { show: false },
      select: { show: false },
      scales: { x: { time: false, range: [first, last] }, y: { range: (_, _low, high) => [0, Math.max(20, high * 1.1)] } },
      axes: [
        {
          ...axis,
          splits: () => midnights,
          values: (_, splits) =>
            splits.map((at) => {
              const day = local(doc, at);
              const date = day.getUTCDate();
              return `${days[day.getUTCDay()]}${narrow ? `\n${date}` : ` ${date}/${day.getUTCMonth() + 1}`}`;
            }),
        },
        { ...axis, size: 48 },
      ],
      series: [
        {},
        { stroke: colour("--quiet"), fill: `${colour("--quiet")}26`, width: 2, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }) },
      ],
    },
    [doc.week.map((hour) => hour.at_s), doc.week.map((hour) => hour.nearby)],
    box,
  );
}

function present(doc) {
  shown = doc;
  root.dataset.state = doc.state;
  show(doc);
  tables(doc);
  draw(doc);
}

/** Nobody answers: no light may stay green. A session that has ended goes back to the PIN. */
async function lost() {
  if (root.dataset.state === "lost") return;
  root.dataset.state = "lost";
  const [vi, en, saysVi, saysEn] = [...document.getElementById("lost").children].map((element) => element.textContent);
  document.querySelector("[data-text='summary.vi']").textContent = vi;
  document.querySelector("[data-text='summary.en']").textContent = en;
  for (const lamp of document.querySelectorAll(".lamp")) {
    lamp.dataset.light = "unknown";
    for (const text of lamp.querySelectorAll(".says code, .todo [data-text]")) text.textContent = "";
    lamp.querySelector(".says b").textContent = saysVi;
    lamp.querySelector(".says span").textContent = saysEn;
  }
  const answer = await fetch("/ops", { method: "HEAD" }).catch(() => null);
  if (answer && answer.status === 401) location.reload();
}

addEventListener("resize", () => shown && draw(shown));
listen("/ops/events", present, lost);
