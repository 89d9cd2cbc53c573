// The one script of the local page: theme, what is live, search while typing, chat. Without it every page but the chat works.
"use strict";

const root = document.documentElement;
const THEMES = ["auto", "light", "dark"];

function theme(name) {
  if (name === "auto") delete root.dataset.theme;
  else root.dataset.theme = name;
  const button = document.querySelector("[data-theme-button] span");
  if (button) button.textContent = name;
}

function stored() {
  try {
    return THEMES.includes(localStorage.theme) ? localStorage.theme : "auto";
  } catch {
    return "auto";
  }
}

theme(stored());  // before anything is painted

function fragment(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

// puts new content into an element; what is checked and what has the focus stay so
function replace(element, nodes) {
  const checked = new Set([...element.querySelectorAll("input:checked")].map((one) => one.value));
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  const place = focused ? [...element.querySelectorAll("a, input, button, [tabindex]")].indexOf(focused) : -1;
  element.replaceChildren(...nodes);
  for (const one of element.querySelectorAll("input[type=checkbox]")) if (checked.has(one.value)) one.checked = true;
  if (place >= 0) element.querySelectorAll("a, input, button, [tabindex]")[place]?.focus({ preventScroll: true });
}

// a browser has six connections to a server: a page that nobody sees gives its own back, and resumes when it is seen
function listen(address, handlers) {
  let source = null;
  let place = "";
  let over = false;
  function follow() {
    source?.close();
    if (document.hidden || over) return;
    source = new EventSource(place ? address(place) : address());
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => {
        place = event.lastEventId;
        over = name === "over";
        if (over) source.close();
        handle(JSON.parse(event.data));
      });
    }
  }
  document.addEventListener("visibilitychange", follow);
  follow();
}

function live(element) {
  const html = (text) => replace(element, fragment(text).body.childNodes);
  listen(() => element.dataset.live, { html, over: () => {} });
}

const HIDDEN = /[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ufff9-\ufffb]/g;

function inert(text) {
  return text.replace(/\r/g, "").replace(HIDDEN, (one) => "\\u" + one.charCodeAt(0).toString(16).padStart(4, "0"));
}

function tail(log) {
  const [path, first] = log.dataset.tail.split("?from=");
  function text(more) {
    const below = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.append(inert(more));
    if (below) log.scrollTop = log.scrollHeight;
  }
  function over() {
    document.getElementById("log-state").textContent = "It has ended.";
  }
  const reset = () => log.replaceChildren();
  listen((place = first) => `${path}?from=${place}`, { text, over, reset });
  log.scrollTop = log.scrollHeight;
}

// asks for the form's page while somebody types, and shows its result alone
function swap(form) {
  const target = document.getElementById(form.dataset.swap);
  let waiting = 0;
  let asked = null;
  async function show() {
    asked?.abort();
    asked = new AbortController();
    const address = `${location.pathname}?${new URLSearchParams(new FormData(form))}`;
    try {
      const answer = await fetch(address, { signal: asked.signal });
      const result = fragment(await answer.text()).getElementById(form.dataset.swap);
      if (!result) return;
      replace(target, result.childNodes);
      history.replaceState(null, "", address);
    } catch (error) {
      if (error.name !== "AbortError") form.submit();
    }
  }
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(show, 250);
  });
}

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sorter";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const one of heads) one.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[place].dataset.value ?? row.cells[place].textContent.trim();
      const order = new Intl.Collator(undefined, { numeric: true }).compare;
      const rows = [...table.tBodies[0].rows].sort((a, b) => (down ? -1 : 1) * order(key(a), key(b)));
      table.tBodies[0].append(...rows);
    });
  });
}

function element(kind, name, text = "") {
  const node = document.createElement(kind);
  node.className = name;
  node.textContent = text;
  return node;
}

// one model's side of the chat: what was said, and its own stream
class Column {
  constructor(label) {
    this.messages = [];
    this.box = element("section", "column");
    this.talk = element("div", "talk");
    this.status = element("p", "status");
    this.status.setAttribute("role", "status");
    this.box.append(element("h2", "", label), this.talk, this.status);
  }

  say(role, text) {
    const line = element("p", `said ${role}`, inert(text));
    line.dir = "auto";
    this.talk.append(line);
    return line;
  }

  async ask(address, question, signal) {
    this.messages.push({ role: "user", content: question.text });
    this.say("user", question.text);
    const line = this.say("assistant", "");
    const begun = performance.now();
    let text = "";
    try {
      const { model, prompt, max_tokens, temperature } = question;
      const body = JSON.stringify({ model, prompt, max_tokens, temperature, messages: this.messages });
      const answer = await fetch(address, { method: "POST", headers: { "content-type": "application/json" }, body, signal });
      if (!answer.ok) {
        const problems = fragment(await answer.text()).querySelectorAll(".problem, p");
        throw new Error(problems[0]?.textContent ?? `the server answered ${answer.status}`);
      }
      for await (const event of events(answer.body)) {
        if (event.state) this.status.textContent = event.state === "loading" ? "loading the model…" : "writing…";
        if (event.error) throw new Error(event.error);
        if (event.text !== undefined) line.textContent = inert((text = event.text));
        if (event.done) {
          const seconds = ((performance.now() - begun) / 1000).toFixed(1);
          this.status.textContent = `${event.tokens} tokens in ${seconds} s${event.done === "length" ? ", cut at the limit" : ""}`;
        }
      }
      this.messages.push({ role: "assistant", content: text });
    } catch (error) {
      this.messages.pop();
      if (error.name === "AbortError") this.status.textContent = "stopped";
      else {
        line.classList.add("failed");
        line.textContent = inert(error.message);
        this.status.textContent = "failed";
      }
    }
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (buffer + value).split("\n\n");
    buffer = parts.pop();
    for (const part of parts) {
      const data = part.split("\n").find((line) => line.startsWith("data: "));
      if (data) yield JSON.parse(data.slice(6));
    }
  }
}

function chat(form) {
  const columns = new Map();
  const place = document.getElementById("answers");
  const stop = form.querySelector("[data-chat-stop]");
  const ask = form.querySelector("[type=submit]");
  let running = null;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running) return;
    const values = new FormData(form);
    const text = values.get("question").trim();
    const chosen = [...form.querySelectorAll("[name=model]:checked")];
    if (!text || !chosen.length) return;
    form.elements.question.value = "";
    running = new AbortController();
    [ask.disabled, stop.hidden] = [true, false];
    const numbers = { max_tokens: Number(values.get("max_tokens")), temperature: Number(values.get("temperature")) };
    await Promise.all(
      chosen.map((one) => {
        if (!columns.has(one.value)) {
          columns.set(one.value, new Column(one.dataset.label));
          place.append(columns.get(one.value).box);
        }
        const question = { model: one.value, prompt: values.get("prompt"), text, ...numbers };
        return columns.get(one.value).ask(form.dataset.chat, question, running.signal);
      }),
    );
    running = null;
    [ask.disabled, stop.hidden] = [false, true];
  });
  form.elements.question.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  stop.addEventListener("click", () => running?.abort());
  form.querySelector("[data-chat-new]").addEventListener("click", () => {
    running?.abort();
    columns.clear();
    place.replaceChildren();
  });
}

addEventListener("DOMContentLoaded", () => {
  const button = document.querySelector("[data-theme-button]");
  button.hidden = false;
  theme(stored());
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(stored()) + 1) % THEMES.length];
    try {
      localStorage.theme = next;
    } catch {
      // where nothing may be stored, the theme lasts as long as the page
    }
    theme(next);
  });
  document.querySelectorAll("[data-live]").forEach(live);
  document.querySelectorAll("[data-tail]").forEach(tail);
  document.querySelectorAll("form[data-swap]").forEach(swap);
  document.querySelectorAll("table.sortable").forEach(sortable);
  document.querySelectorAll("form[data-chat]").forEach(chat);
});
