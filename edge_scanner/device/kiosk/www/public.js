"use strict";
/* The screen: the root's attributes carry the state to the style sheet; the curve is drawn by uPlot. */

const root = document.documentElement;
const fixedTheme = new URLSearchParams(location.search).get("theme");
root.dataset.screen = new URLSearchParams(location.search).has("screen") ? "yes" : "no";
const box = document.getElementById("chart");
let plot = null;
let drawn = "";
let shown = null;

/** Minutes after the left edge and places on the bar, all curves on one axis. */
function columns(doc) {
  const minutes = [...new Set([...doc.today, ...doc.usual, ...doc.forecast].map((spot) => spot.minute))].sort((a, b) => a - b);
  const places = (spots) => {
    const by = new Map(spots.map((spot) => [spot.minute, spot.place]));
    return minutes.map((minute) => (by.has(minute) ? by.get(minute) : null));
  };
  return [minutes, places(doc.usual), places(doc.today), places(doc.forecast)];
}

/** Three bands behind the curves, the present level's a little stronger. */
function bands(u) {
  const { left, top, width, height } = u.bbox;
  const levels = ["busy", "moderate", "quiet"];
  u.ctx.save();
  levels.forEach((level, i) => {
    u.ctx.globalAlpha = level === root.dataset.level ? 0.2 : 0.07;
    u.ctx.fillStyle = colour(`--${level}`);
    u.ctx.fillRect(left, top + (height * i) / 3, width, height / 3 - 2 * devicePixelRatio);
  });
  u.ctx.restore();
}

/** A dot where the day has come to; none while nobody knows how it goes on. */
function dot(u) {
  const places = u.data[2];
  let i = places.length - 1;
  while (i >= 0 && places[i] == null) i -= 1;
  if (i < 0 || root.dataset.level === "unknown") return;
  const ctx = u.ctx;
  ctx.save();
  ctx.setLineDash([]);
  ctx.beginPath();
  ctx.arc(u.valToPos(u.data[0][i], "x", true), u.valToPos(places[i], "y", true), u.bbox.height / 28, 0, 2 * Math.PI);
  ctx.fillStyle = colour("--ink");
  ctx.strokeStyle = colour("--panel");
  ctx.lineWidth = u.bbox.height / 90;
  ctx.fill();
  ctx.stroke();
  ctx.restore();
}

function draw(doc) {
  const rem = parseFloat(getComputedStyle(root).fontSize);
  const size = { width: box.clientWidth, height: box.clientHeight };
  const key = JSON.stringify([size, root.dataset.theme, root.dataset.level, doc.chart_from, doc.today, doc.usual, doc.forecast]);
  if (key === drawn || size.width === 0) return;
  drawn = key;
  if (plot) plot.destroy();
  const small = matchMedia("(max-height: 560px) and (orientation: landscape)").matches;
  const font = `${Math.round((small ? 1 : 0.95) * rem)}px "Be Vietnam Pro"`;
  const bold = `700 ${font}`;
  const axis = { stroke: colour("--soft"), grid: { show: false }, ticks: { show: false }, border: { show: false } };
  const names = [box.dataset.quiet, box.dataset.moderate, box.dataset.busy];
  const widest = size.width > 26 * rem ? 180 : 360;
  const first = (widest - (doc.chart_from % widest)) % widest;
  plot = new uPlot(
    {
      ...size,
      // Room for half the dot, which stands on the edge when the place is fuller than ever.
      padding: [Math.max(0.4 * rem, size.height / 24), 0.9 * rem, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      select: { show: false },
      scales: { x: { time: false, range: [0, 1440] }, y: { range: [0, 100] } },
      axes: [
        {
          ...axis,
          font,
          size: 1.7 * rem,
          gap: 0.3 * rem,
          splits: () => Array.from({ length: 1440 / widest }, (_, i) => first + i * widest),
          values: (_, splits) => splits.map((minute) => `${((minute + doc.chart_from) / 60) % 24}:00`),
        },
        { ...axis, font: bold, size: 5.6 * rem, gap: 0.5 * rem, splits: () => [50 / 3, 50, 250 / 3], values: () => names },
      ],
      series: [
        {},
        {
          stroke: colour("--soft"),
          fill: `${colour("--soft")}38`,
          width: 0.1 * rem,
          dash: [0.4 * rem, 0.3 * rem],
          points: { show: false },
        },
        { stroke: colour("--ink"), width: 0.26 * rem, points: { show: false } },
        // Points of another grid than the day's stand between its own: the line goes on over them.
        { stroke: colour("--ink"), width: 0.2 * rem, dash: [0.55 * rem, 0.45 * rem], spanGaps: true, points: { show: false } },
      ],
      hooks: { drawClear: [bands], draw: [dot] },
    },
    columns(doc),
    box,
  );
}

function present(doc) {
  shown = doc;
  root.dataset.state = doc.state;
  root.dataset.level = doc.level;
  root.dataset.trend = doc.trend;
  root.dataset.theme = fixedTheme === "day" || fixedTheme === "night" ? fixedTheme : doc.theme;
  root.dataset.clockSure = doc.clock_sure ? "yes" : "no";
  for (const [name, has] of [["hasApp", doc.has_app], ["hasNotice", doc.has_notice]]) {
    const value = has ? "yes" : "no";
    if (root.dataset[name] === value) continue;
    root.dataset[name] = value;
    // The codes were asked for when there was no snapshot yet.
    for (const image of document.querySelectorAll(".qr")) image.src = image.getAttribute("src");
  }
  root.dataset.spoken = doc.spoken ? "yes" : "no";
  if (doc.position != null) document.getElementById("marker").setAttribute("transform", `translate(${doc.position * 10} 0)`);
  show(doc);
  draw(doc);
}

function lost() {
  if (root.dataset.state === "lost") return;
  const [vi, en, whyVi, whyEn] = [...document.getElementById("lost").children].map((element) => element.textContent);
  const told = {
    state: "lost",
    level: "unknown",
    trend: "unknown",
    position: null,
    word: { vi, en },
    trend_words: { vi: "", en: "" },
    chart_forecast: { vi: "", en: "" },
    forecast: [],
    why: { vi: whyVi, en: whyEn },
  };
  if (shown) return present({ ...shown, ...told });
  // The page as it was served, before the stream's first word.
  for (const name of ["state", "level", "trend"]) root.dataset[name] = told[name];
  for (const path of ["word.vi", "word.en", "trend_words.vi", "trend_words.en", "why.vi", "why.en"]) {
    document.querySelector(`[data-text='${path}']`).textContent = at(told, path);
  }
}

/** What the page says aloud, by language: the place, the word and why, what is recorded, how to opt out. */
function sentences(doc) {
  const off = (language) => document.querySelector(`.records p${language === "en" ? ".en" : ":not(.en)"} .more`).textContent;
  return ["vi", "en"].map((language) => ({
    language,
    text: [doc.site, doc.word, doc.trend_words, doc.why, doc.help, doc.records_what, doc.records]
      .map((words) => words[language])
      .concat(off(language))
      .filter((text) => text)
      .map((text) => (text.endsWith(".") ? text : `${text}.`))
      .join(" "),
  }));
}

/** The installed voice of a language; one that would ask the network is none. */
function voiceOf(language) {
  return speechSynthesis.getVoices().find((voice) => voice.localService && voice.lang.slice(0, 2).toLowerCase() === language);
}

document.getElementById("speak").addEventListener("click", (event) => {
  if (!shown) return;
  const button = event.currentTarget;
  const spoken = sentences(shown).filter(({ language }) => voiceOf(language));
  if (!spoken.length) {
    button.textContent = button.dataset.silent;
    return;
  }
  const silent = !speechSynthesis.speaking;
  speechSynthesis.cancel();
  if (!silent) return;
  for (const { language, text } of spoken) {
    const utterance = new SpeechSynthesisUtterance(text);
    utterance.voice = voiceOf(language);
    utterance.lang = utterance.voice.lang;
    speechSynthesis.speak(utterance);
  }
});

/* A small screen on a wall shows one card and language at a time: long enough to read four lines twice. */
root.dataset.turn = "0";
setInterval(() => {
  root.dataset.turn = String((Number(root.dataset.turn) + 1) % 4);
}, 12000);

/* Against burn-in the whole picture wanders by a few pixels, one step a minute, round a small figure of eight. */
let step = 0;
setInterval(() => {
  step += 1;
  const x = Math.round(4 * Math.sin(step / 3));
  const y = Math.round(3 * Math.sin((2 * step) / 3));
  document.getElementById("screen").style.transform = `translate(${x}px, ${y}px)`;
}, 60000);

addEventListener("resize", () => shown && draw(shown));
document.fonts.ready.then(() => {
  drawn = "";
  if (shown) draw(shown);
});
const asked = new URLSearchParams(location.search).get("lang");
listen(asked ? `/events?lang=${encodeURIComponent(asked)}` : "/events", present, lost);
