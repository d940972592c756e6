// What moves on the pages. It knows their markup and nothing of orders:
//
//   body[data-stream]     the stream that says what has changed; one for all tabs of this browser
//   [data-part="URL"]     is fetched again from URL when something has changed; data-about="ID": only when ID has
//   [data-every="5"]      of a part: also every so many seconds, while the page is seen
//   form[data-send]       is sent as what it says, with the CSRF token; {"go": URL} and {"told": TEXT} are the answers
//   [data-due="TIME"]     shows how long there is until then, and is .late afterwards
//   #told, #trouble       what is said to people; #live whether the page follows what happens
//
// Text of people comes from the server as HTML that is escaped there.

const page = document.body.dataset;
const byId = (id) => document.getElementById(id);
const JSON_ONLY = { Accept: "application/json" };

// ---- What is said

function tell(text) {
  byId("told").textContent = text;
  byId("trouble").replaceChildren();
}

function trouble(problem, ...more) {
  const words = document.createElement("p");
  words.textContent = [problem.detail, problem.fix].filter(Boolean).join(" ");
  byId("told").textContent = "";
  byId("trouble").replaceChildren(words, ...more);
}

function live(text) {
  const sign = byId("live");
  if (!sign) return;
  sign.hidden = false;
  sign.textContent = text;
  sign.classList.toggle("on", text === "live");
}

// ---- Asking, and the session

const NO_ANSWER = { detail: "There is no answer.", fix: "Is the orders API up, and this device online?" };
let sessionIsOver = false;

async function problemOf(answer) {
  try {
    return await answer.json();
  } catch {
    return { detail: `The answer is ${answer.status} ${answer.statusText}.`, fix: "Load the page again." };
  }
}

// Another tab may have signed in again, and this page then goes on with the new session. Nothing typed is lost.
async function renewed() {
  const answer = await fetch(`/session/${page.role}`, { headers: JSON_ONLY }).catch(() => null);
  if (!answer) return false;
  if (!answer.ok) {
    if (answer.status === 401) sessionOver(await problemOf(answer));
    return false;
  }
  const session = await answer.json();
  if (session.subject !== page.subject) {
    const link = Object.assign(document.createElement("a"), { href: location.href, textContent: "Show theirs" });
    trouble({ detail: `This browser is signed in as ${session.subject} by now, and this page is ${page.subject}’s.` }, link);
    return false;
  }
  page.csrfToken = session.csrf_token;
  if (sessionIsOver) {
    sessionIsOver = false;
    tell("You are signed in again.");
  }
  return true;
}

function sessionOver(problem) {
  if (sessionIsOver && byId("again")) return;
  sessionIsOver = true;
  live("not signed in");
  const again = Object.assign(document.createElement("button"), { id: "again", textContent: "I have signed in again" });
  again.addEventListener("click", async () => {
    if (await renewed()) goOn();
  });
  trouble({ ...problem, fix: `${problem.fix} Nothing on this page is lost.` }, again);
}

// ---- Forms

async function send(form, submitter) {
  const data = new URLSearchParams(new FormData(form, submitter));
  const post = () =>
    fetch(form.action, { method: "POST", body: data, headers: { ...JSON_ONLY, "X-CSRF-Token": page.csrfToken ?? "" } });
  const buttons = [...form.querySelectorAll("button")];
  const part = form.closest("[data-part]");
  buttons.forEach((button) => (button.disabled = true));
  try {
    let answer = await post();
    let problem = answer.ok ? null : await problemOf(answer);
    if (problem?.type?.endsWith("wrong-csrf-token") && (await renewed())) {
      answer = await post();
      problem = answer.ok ? null : await problemOf(answer);
    }
    if (!problem) {
      const { go, told } = await answer.json();
      if (go) return location.assign(go);
      tell(told ?? "Done.");
    } else if (answer.status === 401) {
      sessionOver(problem);
    } else {
      trouble(problem);
    }
  } catch {
    trouble({ ...NO_ANSWER, fix: `${NO_ANSWER.fix} Send it again then: it is done once.` });
  } finally {
    buttons.forEach((button) => (button.disabled = false));
    // A button that is disabled loses the focus; what came by itself meanwhile may have removed it.
    if (submitter && document.activeElement === document.body) (submitter.isConnected ? submitter : inPlaceOf(part)).focus();
  }
  refresh();
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-send]")) return;
  event.preventDefault();
  send(event.target, event.submitter);
});

// ---- Parts

// Makes `old` look like `fresh` and keeps what is the same, with what is typed into it and the focus.
function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeName !== fresh.nodeName || old.id !== fresh.id || old.nodeType !== Node.ELEMENT_NODE) {
    old.replaceWith(fresh);
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  morphChildren(old, fresh);
}

function morphChildren(old, fresh) {
  const wanted = [...fresh.childNodes];
  const named = new Set(wanted.map((node) => node.id).filter(Boolean));
  for (const node of [...old.childNodes]) if (node.id && !named.has(node.id)) node.remove();
  let at = old.firstChild;
  for (const node of wanted) {
    const same = node.id ? [...old.children].find((one) => one.id === node.id) : at && !at.id ? at : null;
    if (!same) {
      old.insertBefore(node, at);
    } else if (same === at) {
      at = at.nextSibling;
      morph(same, node);
    } else {
      old.insertBefore(same, at);
      morph(same, node);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

async function refreshPart(part) {
  const answer = await fetch(part.dataset.part, { headers: { Accept: "*/*" } }).catch(() => null);
  if (!answer) return live("offline");
  if (answer.status === 401) return sessionOver(await problemOf(answer));
  if (!answer.ok) return trouble(await problemOf(answer));
  const had = document.activeElement?.closest("[data-part]") === part ? document.activeElement : null;
  const fresh = document.createElement("template");
  fresh.innerHTML = await answer.text();
  morphChildren(part, fresh.content);
  tick();
  // What had the focus may be gone, as the button of a step that is done.
  if (had && !had.isConnected) ((had.id && byId(had.id)) || inPlaceOf(part)).focus();
}

// What has the focus where the part's own element for it is gone.
function inPlaceOf(part) {
  return part?.querySelector("[tabindex='-1']") ?? byId("main");
}

// One at a time for each part, and once more if it was asked for meanwhile.
const refreshing = new Map();

async function refreshOnce(part) {
  if (refreshing.has(part)) return refreshing.set(part, true);
  do {
    refreshing.set(part, false);
    await refreshPart(part);
  } while (refreshing.get(part));
  refreshing.delete(part);
}

function refresh(about) {
  for (const part of document.querySelectorAll("[data-part]"))
    if (!about || !part.dataset.about || part.dataset.about === about) refreshOnce(part);
}

for (const part of document.querySelectorAll("[data-every]"))
  setInterval(() => document.hidden || sessionIsOver || refreshOnce(part), 1000 * part.dataset.every);

// ---- The stream: one for all tabs of this browser, held by one that is seen

const channel = page.stream && new BroadcastChannel(`takeaway ${page.stream} ${page.subject}`);
let failures = 0, waiting = 0, source = null, letGo = null, asking = null;

function hear(message) {
  // A tab that has just opened, and the one that follows for it.
  if (message.isNew && source) channel.postMessage({ sign: byId("live").textContent });
  if (message.sign) live(message.sign);
  if (message.live) live(message.live);
  if (message.changed) refresh(message.changed);
  else if (message.live === "live") refresh();
}

function say(message) {
  channel.postMessage(message);
  hear(message);
}

function follow() {
  if (source) return;
  clearTimeout(waiting);
  source = new EventSource(page.stream);
  source.addEventListener("here", () => {
    failures = 0;
    say({ live: "live" });
  });
  source.addEventListener("message", (event) => say({ changed: JSON.parse(event.data).order_id }));
  source.addEventListener("end", (event) => {
    const { reason } = JSON.parse(event.data);
    unfollow();
    if (reason === "replaced") live("followed elsewhere");
    else comeBack();
  });
  source.addEventListener("error", () => {
    unfollow();
    comeBack();
  });
}

function unfollow() {
  clearTimeout(waiting);
  source?.close();
  source = null;
}

// An EventSource hides what the answer was, and comes back without a pause that grows.
async function comeBack() {
  if (!letGo || sessionIsOver) return;
  say({ live: navigator.onLine ? "connecting" : "offline" });
  if (failures && !(await renewed()) && sessionIsOver) return;
  const seconds = Math.min(30, 2 ** failures) * (0.5 + Math.random() / 2);
  failures = Math.min(failures + 1, 5);
  waiting = setTimeout(follow, 1000 * seconds);
}

// The tab that has the lock follows, until it is not seen any more.
function begin() {
  if (!page.stream || asking || letGo || document.hidden || sessionIsOver) return;
  const hold = () => new Promise((resolve) => ((letGo = resolve), follow()));
  if (!navigator.locks) return void hold();
  asking = new AbortController();
  navigator.locks
    .request(channel.name, { signal: asking.signal }, () => ((asking = null), document.hidden ? undefined : hold()))
    .catch(() => {});
}

function end() {
  asking?.abort();
  asking = null;
  unfollow();
  letGo?.();
  letGo = null;
}

function goOn() {
  failures = 0;
  refresh();
  // Anew, since a stream of before may be dead and not know it.
  if (letGo) {
    unfollow();
    follow();
  }
  begin();
}

if (page.stream) {
  channel.addEventListener("message", ({ data }) => hear(data));
  document.addEventListener("visibilitychange", async () => {
    if (document.hidden) return end();
    if (!sessionIsOver || (await renewed())) goOn();
  });
  addEventListener("online", goOn);
  addEventListener("offline", () => live("offline"));
  addEventListener("pagehide", end);
  addEventListener("pageshow", ({ persisted }) => persisted && goOn());
  channel.postMessage({ isNew: true });
  begin();
}

// ---- Time

function tick() {
  for (const one of document.querySelectorAll("[data-due]")) {
    const seconds = (new Date(one.dataset.due) - Date.now()) / 1000;
    const minutes = Math.floor(Math.abs(seconds) / 60);
    const long = minutes ? `${minutes} min` : `${Math.floor(Math.abs(seconds))} s`;
    one.textContent = seconds < 0 ? `${long} late` : `${long} left`;
    one.classList.toggle("late", seconds < 0);
  }
}

tick();
setInterval(tick, 1000);

// ---- Sign-in

async function signIn() {
  const link = decodeURIComponent(location.hash.slice(1));
  if (!byId("sign-in") || !link) return;
  // Before anything else: out of the address bar, and out of the history.
  history.replaceState(null, "", location.pathname);
  const answer = await fetch("/sign-in", {
    method: "POST",
    body: new URLSearchParams({ link }),
    headers: JSON_ONLY,
  }).catch(() => null);
  if (!answer) return trouble(NO_ANSWER);
  if (!answer.ok) return trouble(await problemOf(answer));
  location.replace((await answer.json()).go);
}

signIn();
addEventListener("hashchange", signIn);
