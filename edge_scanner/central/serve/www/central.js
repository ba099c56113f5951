// One place over time: the mean and its 95 % interval as a band. The table below says the same without this script.
"use strict";
const place = document.getElementById("curve");
if (place && window.uPlot) {
  const rows = JSON.parse(place.dataset.curve);
  const column = (index) => rows.map((row) => row[index]);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const series = (label, shown) => ({ label, stroke: colour("--good"), width: shown ? 2 : 0, points: { show: false } });
  const clock = new Intl.DateTimeFormat("vi", { timeZone: place.dataset.zone, day: "2-digit", month: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const when = (seconds) => {
    const part = Object.fromEntries(clock.formatToParts(new Date(seconds * 1000)).map((one) => [one.type, one.value]));
    return part.hour === "00" && part.minute === "00" ? `${part.day}.${part.month}` : `${part.hour}:${part.minute}`;
  };
  const options = () => ({
    width: place.clientWidth,
    height: 260,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), place.dataset.zone),
    legend: { show: false },
    scales: { y: { range: (_plot, _low, high) => [0, Math.max(10, high * 1.1)] } },
    axes: [{ values: (_plot, ticks) => ticks.map(when), stroke: colour("--soft"), grid: { stroke: colour("--line") } }, { stroke: colour("--soft"), grid: { stroke: colour("--line") } }],
    series: [{}, series(place.dataset.label, true), series("low", false), series("high", false)],
    bands: [{ series: [3, 2], fill: colour("--good") + "33" }],
  });
  const plot = new uPlot(options(), [column(0), column(1), column(2), column(3)], place);
  window.addEventListener("resize", () => plot.setSize({ width: place.clientWidth, height: 260 }));
}
