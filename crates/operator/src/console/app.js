// The console's script. The server makes every page; this asks the API to change things, and takes over the parts of
// the page that are others afterwards. Nothing here turns text into markup: pages come parsed from the server, which
// escaped them, and all other text goes through textContent.
"use strict";

const API = "/api/v1";
const QUIET = { first: 1500, longest: 10000, factor: 1.3 };
const $ = (id) => document.getElementById(id);
const main = () => $("main");

// --- What happened, in words -----------------------------------------------------------------------------------

function say(text) {
  $("wrong").replaceChildren();
  $("said").textContent = text;
}

function warn(text, link) {
  $("said").textContent = "";
  const line = document.createElement("p");
  line.textContent = text;
  if (link) {
    const anchor = document.createElement("a");
    anchor.href = link.href;
    anchor.textContent = link.text;
    line.append(" ", anchor);
  }
  const close = document.createElement("button");
  close.type = "button";
  close.className = "quiet";
  close.textContent = "Dismiss";
  close.addEventListener("click", () => $("wrong").replaceChildren());
  $("wrong").replaceChildren(line, close);
}

// --- Asking the API --------------------------------------------------------------------------------------------

class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || `the server answers ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

async function ask(method, path, body, headers = {}) {
  const request = { method, headers: { ...headers } };
  if (body !== undefined) {
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(API + path, request);
  } catch {
    throw new Refused(0, { detail: "dvss does not answer. Nothing is known to have changed; try again." });
  }
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, said);
  return said;
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function explain(refused) {
  const { status, problem } = refused;
  const first = problem.first && problem.first.jobId;
  const link = first ? { href: `/invoices/${encodeURIComponent(first)}`, text: "Go to that job" } : null;
  if (status === 412) {
    warn("Somebody changed this invoice since you looked, so that nothing of yours was done. It is loaded anew; " +
      "what you typed is still there. Look at it, then repeat.", { href: "#log", text: "Who did what" });
  } else {
    warn(`${capital(refused.message)}.`.replace(/([.!?])\.$/, "$1"), link);
  }
}

// --- Taking over what is new -----------------------------------------------------------------------------------

// Parts as the server last sent them, by id: what the script did to them since is no change.
const sent = new Map();

function remember(root) {
  for (const part of root.querySelectorAll("[data-live]")) sent.set(part.id, part.outerHTML);
}

// What was typed and not saved, by the id of its field.
function typed(root) {
  const found = new Map();
  for (const field of root.querySelectorAll("input[id]")) {
    if (field.type !== "checkbox" && field.type !== "file" && field.value !== field.defaultValue) found.set(field.id, field.value);
  }
  return found;
}

let turn = 0;

async function refresh() {
  const own = ++turn;
  const answer = await fetch(location.pathname + location.search, { headers: { Accept: "text/html" } });
  if (!answer.ok || own !== turn) return false;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const next = fresh.getElementById("main");
  if (!next || own !== turn) return false;
  const kept = typed(main());
  const focus = focused();
  const open = new Set([...document.querySelectorAll(".editor:not([hidden])")].map((row) => row.id));
  const parts = [...next.querySelectorAll("[data-live]")];
  const there = [...main().querySelectorAll("[data-live]")];
  const same = parts.length === there.length && parts.every((part, at) => part.id === there[at].id);
  let changed = false;
  if (!same) {
    const whole = document.importNode(next, true);
    sent.clear();
    remember(next);
    main().replaceWith(whole);
    changed = true;
  } else {
    for (const { name, value } of next.attributes) main().setAttribute(name, value);
    main().toggleAttribute("data-busy", next.hasAttribute("data-busy"));
    for (const part of parts) {
      const html = part.outerHTML;
      if (sent.get(part.id) === html) continue;
      sent.set(part.id, html);
      $(part.id).replaceWith(document.importNode(part, true));
      changed = true;
    }
  }
  if (!changed) return false;
  document.title = fresh.title;
  for (const [id, value] of kept) {
    const field = $(id);
    if (field) field.value = value;
    const row = field && field.closest(".editor");
    if (row) open.add(row.id);
  }
  begin();
  for (const id of open) show(id, true);
  restore(focus);
  return true;
}

function focused() {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const line = at.closest("[data-line]");
  return { id: at.id, line: line && line.id, kind: at.className };
}

function restore(focus) {
  if (!focus || (document.activeElement && document.activeElement !== document.body)) return;
  const line = focus.line && $(focus.line);
  const target = (focus.id && $(focus.id)) || (line && line.querySelector(".pick"));
  if (target && target.checkVisibility()) target.focus({ preventScroll: true });
  else if (line) line.querySelector(".pick").focus({ preventScroll: true });
  else main().focus({ preventScroll: true });
}

// --- Following what dvss does ----------------------------------------------------------------------------------

const busy = () => document.querySelector("[data-busy]") !== null;
let wait = QUIET.first;
let timer = 0;

function follow() {
  clearTimeout(timer);
  if (busy()) timer = setTimeout(look, wait);
}

async function look() {
  if (document.hidden) return;
  const before = main().dataset.state;
  const changed = await refresh().catch(() => false);
  const now = main().dataset.state;
  if (now !== before) say(`It is ${now.toLowerCase().replace("_", " ")} now.`);
  wait = changed ? QUIET.first : Math.min(wait * QUIET.factor, QUIET.longest);
  follow();
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && busy()) look();
});

// --- Upload ----------------------------------------------------------------------------------------------------

let uploading = Promise.resolve();

function offered(files) {
  const vendor = $("upload-vendor").value.trim();
  if (!vendor) return warn("Choose a vendor first.");
  localStorage.setItem("vendor", vendor);
  // One after the other: the last one is there as soon, and each shows how far it is.
  for (const file of files) {
    const row = progress(file, vendor);
    uploading = uploading.then(() => upload(file, vendor, row));
  }
}

function progress(file, vendor) {
  const row = document.createElement("li");
  const name = document.createElement("span");
  name.className = "vendor-text";
  name.textContent = `${file.name} for ${vendor}`;
  const bar = document.createElement("progress");
  bar.max = 100;
  bar.value = 0;
  bar.setAttribute("aria-label", `Upload of ${file.name}`);
  const word = document.createElement("span");
  word.className = "word";
  word.textContent = "waits";
  row.append(name, bar, word);
  $("uploads").append(row);
  return { bar, word, row };
}

async function upload(file, vendorId, { bar, word, row }) {
  const most = Number($("drop").dataset.most);
  try {
    if (file.size === 0) throw new Error("the file is empty");
    if (file.size > most) throw new Error(`the file has ${file.size} bytes; at most ${most} are taken`);
    word.textContent = "reads the file";
    const bytes = await file.arrayBuffer();
    const body = {
      vendorId, fileName: file.name, contentType: file.type || "application/octet-stream", contentLength: file.size,
      here: true,
    };
    const sha256 = await fingerprint(bytes);
    if (sha256) body.sha256 = sha256;
    const job = await ask("POST", "/invoices", body);
    word.textContent = "0 %";
    await put(job.upload, bytes, (percent) => {
      bar.value = percent;
      word.textContent = `${percent} %`;
    });
    await ask("POST", `/invoices/${job.jobId}/submit`);
    const link = document.createElement("a");
    link.href = `/invoices/${job.jobId}`;
    link.textContent = "uploaded";
    word.replaceChildren(link);
    bar.value = 100;
    say(`${file.name} is uploaded and is being read.`);
  } catch (error) {
    row.classList.add("failed");
    word.textContent = `failed: ${error.message}`;
    warn(`${file.name} could not be uploaded: ${error.message}.`);
  }
  await refresh().catch(() => false);
  wait = QUIET.first;
  follow();
}

// Where the page is not in a secure context the browser has no digest; the server hashes what comes, anyway.
async function fingerprint(bytes) {
  if (!globalThis.crypto || !crypto.subtle) return null;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function put({ url, headers }, bytes, tell) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    const { pathname, search } = new URL(url, location.href);
    request.open("PUT", pathname + search);
    for (const [name, value] of Object.entries(headers)) {
      // The browser sets it, and lets nobody else.
      if (name.toLowerCase() !== "content-length") request.setRequestHeader(name, value);
    }
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) tell(Math.floor((100 * event.loaded) / event.total));
    });
    request.addEventListener("load", () => {
      if (request.status < 300) return done();
      let said = `the server answers ${request.status}`;
      try { said = JSON.parse(request.responseText).detail || said; } catch { /* It said nothing. */ }
      fail(new Error(said));
    });
    request.addEventListener("error", () => fail(new Error("the connection broke")));
    request.send(bytes);
  });
}

function beginUpload() {
  const drop = $("drop");
  const files = $("upload-files");
  if (!drop || !files) return;
  const vendor = $("upload-vendor");
  const last = localStorage.getItem("vendor");
  const asked = new URLSearchParams(location.search).get("vendor");
  const known = vendor.tagName !== "SELECT" || [...vendor.options].some((option) => option.value === last);
  if (!asked && last && known) vendor.value = last;
  files.addEventListener("change", () => {
    offered([...files.files]);
    files.value = "";
  });
  drop.addEventListener("drop", (event) => {
    drop.classList.remove("over");
    offered([...event.dataTransfer.files]);
  });
  drop.addEventListener("dragover", () => drop.classList.add("over"));
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
}

// A file that falls beside must not replace the page.
for (const kind of ["dragover", "drop"]) {
  document.addEventListener(kind, (event) => {
    if (event.dataTransfer && event.dataTransfer.types.includes("Files")) event.preventDefault();
  });
}

// --- Lines -----------------------------------------------------------------------------------------------------

let chosen = null;

const lines = () => [...document.querySelectorAll("tbody.line")];
const line = () => (chosen && $(chosen)) || null;
const number = (row) => Number(row.dataset.line);

function choose(row, { focus = true, scroll = true } = {}) {
  const before = line();
  if (before && before !== row) {
    before.classList.remove("chosen");
    roam(before, false);
    const editor = before.querySelector(".editor");
    if (editor && !typed(editor).size) show(editor.id, false);
  }
  if (!before) for (const other of lines()) if (other !== row) roam(other, false);
  chosen = row.id;
  row.classList.add("chosen");
  roam(row, true);
  if (focus) row.querySelector(".pick").focus({ preventScroll: true });
  if (scroll) row.scrollIntoView({ block: "nearest" });
  tell(row, row.querySelector("[data-label=Quantity].value") || row.querySelector(".value"));
}

// One line is in the order of tabs at a time: five hundred would be a long way.
function roam(row, on) {
  for (const button of row.querySelectorAll(".value, .pick")) button.tabIndex = on ? 0 : -1;
}

function move(step, wanted) {
  const all = lines();
  if (!all.length) return;
  const row = line();
  const at = row ? all.indexOf(row) : step > 0 ? -1 : all.length;
  for (let next = at + step; next >= 0 && next < all.length; next += step) {
    if (!wanted || wanted(all[next])) return choose(all[next]);
  }
  if (!wanted) return say(step > 0 ? "This is the last line of the page." : "This is the first line of the page.");
  const pager = $("pager");
  const elsewhere = step > 0 ? pager.dataset.after : pager.dataset.before;
  if (elsewhere) return location.assign(elsewhere);
  say(step > 0 ? "No such line comes after this one." : "No such line comes before this one.");
}

function moveFlagged(step) {
  const waits = (row) => row.hasAttribute("data-open");
  const flagged = (row) => row.hasAttribute("data-flagged");
  const pager = $("pager");
  const any = lines().some(waits) || (pager && (pager.dataset.after || pager.dataset.before));
  move(step, any ? waits : flagged);
}

function show(id, on) {
  const editor = $(id);
  if (!editor) return;
  editor.hidden = !on;
  editor.closest("tbody").querySelector(".pick").setAttribute("aria-expanded", String(on));
}

function edit(row, field) {
  const editor = row.querySelector(".editor");
  if (!editor) return say("Only an invoice in review can be edited.");
  show(editor.id, true);
  const input = editor.querySelector(`[name=${field}]`) || editor.querySelector("input, button");
  input.focus();
  if (input.select) input.select();
  editor.scrollIntoView({ block: "nearest" });
}

// --- Where a value comes from ----------------------------------------------------------------------------------

function tell(row, value) {
  for (const lit of document.querySelectorAll(".lit")) lit.classList.remove("lit");
  for (const sheet of document.querySelectorAll(".page svg")) sheet.replaceChildren();
  const source = $("source");
  if (!source) return;
  const values = row ? [...row.querySelectorAll(".value")] : [];
  if (value && !values.includes(value)) values.push(value);
  if (value) value.classList.add("lit");
  const list = document.createElement("dl");
  for (const each of values) {
    const { label, place, sure, area } = each.dataset;
    const group = document.createElement("div");
    if (each === value) group.className = "now";
    const name = document.createElement("dt");
    name.textContent = label;
    const text = document.createElement("dd");
    text.className = "vendor-text";
    text.textContent = each.textContent;
    const from = document.createElement("dd");
    from.className = "place";
    // A long path breaks between its steps.
    from.append(...place.split(/(?<=\/)/).flatMap((step) => [step, document.createElement("wbr")]));
    if (Number(sure) < 100) from.append(` (${sure} % sure)`);
    group.append(name, text, from);
    list.append(group);
    if (area) light(area, each === value);
  }
  const title = document.createElement("h3");
  title.textContent = row ? `Line ${row.dataset.line}` : "Invoice";
  const none = document.createElement("p");
  none.className = "dim";
  none.textContent = "The document does not say where.";
  source.replaceChildren(title, values.length ? list : none);
}

// Whether a person can see it without scrolling.
function isSeen(element) {
  if (!element || !element.checkVisibility()) return false;
  const { top, bottom } = element.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}

// Says of one value where it comes from, too: to whoever cannot see the panel.
function where(row, value) {
  tell(row, value);
  const { label, place, sure } = value.dataset;
  const words = `${label}: ${place}${Number(sure) < 100 ? `, ${sure} % sure` : ""}.`;
  if (isSeen($("source"))) $("where").textContent = words;
  else say(words);
}

function zoom() {
  if (!$("zoom")) return;
  const large = $("sheets").classList.toggle("large");
  $("zoom").setAttribute("aria-pressed", String(large));
  const now = document.querySelector(".page rect.now");
  if (now) bring(now);
}

function light(area, now) {
  const [page, x, y, width, height] = area.split(" ").map(Number);
  const sheet = document.querySelector(`.page[data-page="${page}"] svg`);
  if (!sheet) return;
  const box = document.createElementNS(sheet.namespaceURI, "rect");
  const edges = { x: x - 2, y: y - 2, width: width + 4, height: height + 4, rx: 1.5 };
  for (const [name, edge] of Object.entries(edges)) box.setAttribute(name, edge);
  if (now) box.setAttribute("class", "now");
  sheet.append(box);
  if (now) bring(box);
}

function bring(box) {
  const sheets = $("sheets");
  const place = box.getBoundingClientRect();
  const frame = sheets.getBoundingClientRect();
  if (place.top < frame.top + 20 || place.bottom > frame.bottom - 20) {
    sheets.scrollTop += place.top - frame.top - frame.height / 3;
  }
  if (place.left < frame.left || place.right > frame.right) sheets.scrollLeft += place.left - frame.left - 20;
}

// --- Changes ---------------------------------------------------------------------------------------------------

let running = false;

// Does one change on top of what the page shows; afterwards the page shows what became of it.
async function change(method, path, body, done) {
  if (running) return false;
  running = true;
  main().setAttribute("aria-busy", "true");
  let ended = false;
  try {
    const { job, version } = main().dataset;
    await ask(method, `/invoices/${job}${path}`, body, { "If-Match": `"${version}"` });
    ended = true;
    clean(body);
    say(done);
  } catch (refused) {
    if (!(refused instanceof Refused)) throw refused;
    explain(refused);
  } finally {
    running = false;
    main().removeAttribute("aria-busy");
  }
  await refresh().catch(() => warn("The page could not be loaded anew. Reload it before you go on."));
  wait = QUIET.first;
  follow();
  return ended;
}

// What is saved is not typed any more.
function clean(body) {
  for (const { line } of (body && body.lines) || []) {
    const editor = $(`edit-${line}`);
    if (editor) for (const field of editor.querySelectorAll("input")) field.value = field.defaultValue;
  }
  if (body && body.number !== undefined) $("number").value = $("number").defaultValue;
}

const patch = (body, done) => change("PATCH", "", body, done);

async function accept(row) {
  if (!row) return say("Choose a line first: n goes to the next one that is open.");
  if (!row.querySelector(".editor")) return say("Only an invoice in review can be edited.");
  const at = number(row);
  const editor = row.querySelector(".editor");
  if (typed(editor).size) return save(editor.querySelector("form"));
  if (await patch({ lines: [{ line: at, accept: true }] }, `Line ${at} is accepted.`)) onward(at);
}

async function save(form) {
  const at = Number(form.dataset.edit);
  const edit = { line: at, accept: true };
  for (const name of ["sku", "warehouseId", "quantity"]) {
    const field = form.elements[name];
    const value = field.value.trim();
    if (field.value !== field.defaultValue && value) edit[name] = value;
  }
  if (await patch({ lines: [edit] }, `Line ${at} is saved and accepted.`)) onward(at);
}

// To the next line that is open, if the one that was is none any more.
function onward(at) {
  const row = $(`line-${at}`);
  if (!row) return;
  show(`edit-${at}`, false);
  choose(row);
  if (row.hasAttribute("data-open")) return;
  const next = lines().find((other) => number(other) > at && other.hasAttribute("data-open")) ||
    lines().find((other) => other.hasAttribute("data-open"));
  if (next) return choose(next);
  const open = document.querySelectorAll("#open li").length;
  $("said").textContent += open ? "" : " Nothing is open: Ctrl Enter applies.";
}

async function apply() {
  const text = $("confirm-text");
  if (!document.querySelector("[data-do=apply]")) return say("This invoice cannot be applied as it stands.");
  $("confirm-what").textContent = text.textContent;
  if ((await answered($("confirm"))) !== "yes") return;
  await change("POST", "/apply", undefined, "It is being applied.");
}

async function reverse() {
  const reason = $("reason");
  reason.value = "";
  if ((await answered($("reverse"))) !== "yes") return;
  await change("POST", "/reverse", { reason: reason.value }, "It is being reversed.");
}

function answered(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue), { once: true }));
}

const DEEDS = {
  help: () => {
    answered($("help"));
    $("help").querySelector(".main").focus();
  },
  zoom,
  apply,
  reverse,
  "accept-all": () => patch({ acceptAll: true }, "Every line that has an item is accepted; doubts stay open."),
  "accept-flags": () => patch({ acceptFlags: true }, "The invoice's flags are accepted."),
  "unaccept-flags": () => patch({ acceptFlags: false }, "The invoice's flags are open again."),
  unaccept: (button) => ofLine(button, { accept: false }, "is open again"),
  include: (button) => ofLine(button, { exclude: "" }, "is booked after all"),
  close: (button) => close(button.closest("tbody")),
};

function ofLine(button, edit, done) {
  const at = number(button.closest("tbody"));
  return patch({ lines: [{ line: at, ...edit }] }, `Line ${at} ${done}.`);
}

function close(row) {
  const editor = row.querySelector(".editor");
  for (const field of editor.querySelectorAll("input")) field.value = field.defaultValue;
  show(editor.id, false);
  row.querySelector(".pick").focus({ preventScroll: true });
}

// --- Hands -----------------------------------------------------------------------------------------------------

document.addEventListener("click", (event) => {
  const at = event.target.closest("button, a");
  const row = event.target.closest("tbody.line");
  if (!at) {
    if (row && !event.target.closest(".editor") && !String(getSelection())) choose(row);
    return;
  }
  if (at.dataset.do) return void DEEDS[at.dataset.do](at);
  if (at.dataset.goto) {
    const target = $(`line-${at.dataset.goto}`);
    if (!target) return void location.assign(`?from=${at.dataset.goto}#line-${at.dataset.goto}`);
    event.preventDefault();
    return choose(target);
  }
  if (at.dataset.sku !== undefined) {
    const field = at.closest("form").elements.sku;
    field.value = at.dataset.sku;
    return field.focus();
  }
  if (at.classList.contains("value")) {
    if (row && row !== line()) choose(row, { focus: false, scroll: false });
    return where(row, at);
  }
  if (at.classList.contains("pick")) {
    const editor = row.querySelector(".editor");
    const was = row === line() && editor && !editor.hidden;
    choose(row, { scroll: false });
    if (editor) show(editor.id, !was);
  }
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method === "dialog" || form.classList.contains("filters")) return;
  event.preventDefault();
  if (form.dataset.edit) return void save(form);
  if (form.dataset.exclude) {
    const at = Number(form.dataset.exclude);
    const exclude = form.elements.exclude.value;
    return void patch({ lines: [{ line: at, exclude }] }, `Line ${at} is excluded.`).then((done) => done && onward(at));
  }
  if (form.dataset.number !== undefined) {
    void patch({ number: form.elements.number.value }, "The number is saved.");
  }
});

document.addEventListener("focusin", (event) => {
  const row = event.target.closest("tbody.line");
  if (row && row !== line()) choose(row, { focus: false, scroll: false });
  if (event.target.classList.contains("value")) where(row, event.target);
});

const KEYS = {
  n: () => moveFlagged(1),
  p: () => moveFlagged(-1),
  j: () => move(1),
  k: () => move(-1),
  a: () => accept(line()),
  e: () => (line() ? edit(line(), "sku") : say("Choose a line first.")),
  x: () => (line() ? edit(line(), "exclude") : say("Choose a line first.")),
  f: () => document.querySelector("[data-do=accept-flags]") ? DEEDS["accept-flags"]() : say("There are no flags to accept."),
  z: zoom,
  ArrowRight: () => along(1),
  ArrowLeft: () => along(-1),
  ArrowDown: (event) => onLine(event) && move(1),
  ArrowUp: (event) => onLine(event) && move(-1),
};

const onLine = (event) => event.target.closest("tbody.line .row") !== null;

function along(step) {
  const row = line();
  if (!row || !document.activeElement.closest("tbody.line .row")) return false;
  const stops = [...row.querySelectorAll(".row .pick, .row .value")];
  const next = stops[stops.indexOf(document.activeElement) + step];
  if (next) next.focus();
}

document.addEventListener("keydown", (event) => {
  if (main().dataset.page !== "review" || document.querySelector("dialog[open]") || event.isComposing) return;
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
    event.preventDefault();
    return void apply();
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest("input, select, textarea");
  if (event.key === "Escape") {
    const editor = event.target.closest(".editor");
    if (editor) close(editor.closest("tbody"));
    return;
  }
  if (typing || !$("single-keys").checked) return;
  if (event.key === "?") {
    event.preventDefault();
    return void DEEDS.help();
  }
  const deed = KEYS[event.key];
  if (!deed) return;
  if (event.key.startsWith("Arrow") && !onLine(event)) return;
  event.preventDefault();
  deed(event);
});

// --- Begin -----------------------------------------------------------------------------------------------------

// Whatever has to be so whenever parts of the page are new.
function begin() {
  const row = line();
  const all = lines();
  if (!all.length) return;
  const stop = row || all[0];
  for (const other of all) roam(other, other === stop);
  if (row) {
    row.classList.add("chosen");
    tell(row, row.querySelector("[data-label=Quantity].value") || row.querySelector(".value"));
  }
}

function beginReview() {
  const pages = $("pages");
  if (pages && matchMedia("(max-width: 48rem)").matches) pages.open = false;
  const keys = $("single-keys");
  keys.checked = localStorage.getItem("singleKeys") !== "off";
  keys.addEventListener("change", () => localStorage.setItem("singleKeys", keys.checked ? "on" : "off"));
  const target = location.hash.startsWith("#line-") && $(location.hash.slice(1));
  if (!target) return;
  choose(target);
  // The browser goes to the fragment itself, and takes the focus away.
  addEventListener("load", () => restore({ line: target.id }), { once: true });
}

remember(document);
begin();
if (main().dataset.page === "list") beginUpload();
if (main().dataset.page === "review") beginReview();
follow();
