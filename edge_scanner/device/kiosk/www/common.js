"use strict";
/* What both pages do: put a document's words where `data-text` asks for them, keep the clock, and notice silence.
   All words come from the server in both languages; nothing is ever parsed as HTML (Trusted Types forbid it). */

const BEATS_MISSED = 3;
const BEAT_MS = 5000;

/** The value at a dotted path of a document, as text. */
function at(document_, path) {
  let value = document_;
  for (const name of path.split(".")) value = value == null ? "" : value[name];
  return value == null ? "" : String(value);
}

/** Renew every element with `data-text`, and every `data-from-…` attribute such as a light's colour. */
function show(doc) {
  for (const element of document.querySelectorAll("[data-text]")) {
    const text = at(doc, element.dataset.text);
    if (element.textContent !== text) element.textContent = text;
  }
  for (const element of document.querySelectorAll("[data-light-from]")) {
    element.dataset.light = at(doc, element.dataset.lightFrom);
  }
}

/** Listen to a stream for ever; `onDocument` gets each document, `onLost` is called when three beats did not come. */
function listen(path, onDocument, onLost) {
  const clock = document.getElementById("clock");
  let beat = null;
  let last = null;
  let heard = performance.now();
  let source = null;

  function open() {
    source = new EventSource(path);
    source.addEventListener("beat", (event) => {
      beat = JSON.parse(event.data);
      beat.at = heard = performance.now();
    });
    source.addEventListener("document", (event) => {
      last = JSON.parse(event.data);
      heard = performance.now();
      onDocument(last);
    });
  }

  function tick() {
    const now = performance.now();
    if (now - heard > BEATS_MISSED * BEAT_MS) {
      onLost();
      if (source.readyState === EventSource.CLOSED) {
        heard = now;
        open();
      }
    }
    if (beat && clock) {
      const seconds = beat.now_s + ((now - beat.at) / 1000) * beat.speed + beat.utc_offset_s;
      const text = new Date(seconds * 1000).toISOString().slice(11, 16);
      if (clock.textContent !== text) clock.textContent = text;
    }
  }

  open();
  setInterval(tick, 500);
}

/** A colour of the present theme. */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
