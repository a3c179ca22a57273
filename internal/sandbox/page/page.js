(() => {
  "use strict";
  const $ = (id) => document.getElementById(id);
  const instance = document.body.dataset.instance;
  const live = $("live"), gone = $("gone"), toast = $("toast");
  document.documentElement.classList.add("scripted");

  // What is there is changed only where it differs, so that focus, selection and
  // scroll stay. Elements with an id are the same element wherever they come to lie.
  const same = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");
  const reuse = (old, next) => {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== next.data) old.data = next.data;
      return;
    }
    const timed = old.nodeName === "TIME" && old.dateTime === next.dateTime;
    for (const { name, value } of [...next.attributes])
      if (name !== "open" && !(timed && name === "title") && old.getAttribute(name) !== value) old.setAttribute(name, value);
    for (const { name } of [...old.attributes])
      if (name !== "open" && !next.hasAttribute(name)) old.removeAttribute(name);
    if (timed || old.hasAttribute("data-part") || old === document.activeElement && old.nodeName === "SELECT") return;
    morph(old, next);
  };
  const morph = (into, from) => {
    const wanted = new Set([...from.children].map((e) => e.id).filter(Boolean));
    for (const e of [...into.children]) if (e.id && !wanted.has(e.id)) e.remove();
    const known = new Map([...into.children].filter((e) => e.id).map((e) => [e.id, e]));
    let old = into.firstChild;
    for (const next of [...from.childNodes]) {
      const known1 = next.id && known.get(next.id);
      if (known1 && known1.nodeName === next.nodeName) {
        if (known1 !== old) into.insertBefore(known1, old);
        else old = old.nextSibling;
        reuse(known1, next);
      } else if (old && !old.id && same(old, next)) {
        const after = old.nextSibling;
        reuse(old, next);
        old = after;
      } else into.insertBefore(next, old);
    }
    while (old) {
      const after = old.nextSibling;
      old.remove();
      old = after;
    }
  };

  // A log that is at its end stays there.
  const box = document.createElement("template");
  const patch = (id, html) => {
    const part = $(id);
    if (!part) return;
    box.innerHTML = html;
    const held = [...part.querySelectorAll("[data-follow]")].filter((e) => e.scrollTop + e.clientHeight >= e.scrollHeight - 8);
    const fresh = !part.querySelector("[data-follow]");
    morph(part, box.content);
    for (const e of fresh ? part.querySelectorAll("[data-follow]") : held) e.scrollTop = e.scrollHeight;
  };

  // Times are said as the reader counts them.
  const since = (ms) => {
    const s = Math.max(0, Math.round(ms / 1000));
    if (s < 60) return s + " s";
    if (s < 3600) return Math.floor(s / 60) + " min";
    if (s < 172800) return Math.floor(s / 3600) + " h";
    return Math.floor(s / 86400) + " d";
  };
  const tell = () => {
    for (const t of document.querySelectorAll("time[data-age]")) {
      const text = since(Date.now() - Date.parse(t.dateTime));
      if (t.textContent !== text) t.textContent = text;
    }
    const now = new Date(), today = now.toDateString();
    const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1).toDateString();
    for (const t of document.querySelectorAll("time[data-clock]")) {
      if (t.dataset.told === today) continue;
      const at = new Date(t.dateTime), day = at.toDateString();
      if (day === today) t.textContent = at.toLocaleTimeString([], { hour12: false });
      else t.textContent = (day === yesterday ? "yesterday" : at.toLocaleDateString([], { month: "short", day: "numeric" })) +
        " " + at.toLocaleTimeString([], { hour12: false, hour: "2-digit", minute: "2-digit" });
      t.title = at.toLocaleString();
      t.dataset.told = today;
    }
    const head = document.querySelector("[data-title]");
    document.title = (head && head.dataset.title === "trouble" ? "✕ " : "") + "Sandbox " + location.host;
  };

  // The stream. A tab that is not seen has none.
  let stream = null, lostAt = 0, ended = false;
  const say = (state, text) => {
    live.dataset.state = state;
    live.textContent = text;
  };
  const lost = () => {
    lostAt = lostAt || Date.now();
    say("lost", "connecting");
    if (Date.now() - lostAt < 1500 && !ended) return;
    gone.textContent = (ended ? "The sandbox has ended. " : "The sandbox does not answer. ") +
      "What is shown was true at " + new Date(lostAt).toLocaleTimeString([], { hour12: false }) + "; the page goes on by itself when it is back.";
    gone.hidden = false;
  };
  const close = () => {
    if (stream) stream.close();
    stream = null;
  };
  const connect = () => {
    close();
    if (document.hidden) return;
    stream = new EventSource("/_sandbox/events" + location.search);
    stream.addEventListener("hello", (e) => {
      if (JSON.parse(e.data) !== instance) return location.reload();
      lostAt = 0;
      ended = false;
      gone.hidden = true;
      say("live", "live");
    });
    stream.addEventListener("gone", () => {
      ended = true;
      lost();
    });
    stream.onmessage = (e) => {
      for (const [id, html] of JSON.parse(e.data)) patch(id, html);
      tell();
    };
    stream.onerror = () => {
      lost();
      if (stream && stream.readyState === EventSource.CLOSED) {
        close();
        setTimeout(() => stream || connect(), 2000);
      }
    };
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) return connect();
    close();
    say("still", "paused");
  });
  window.addEventListener("popstate", connect);

  // What is open is in the address; the stream begins anew with it.
  const look = (query) => {
    history.replaceState(null, "", query || "/");
    connect();
  };
  document.addEventListener("click", (e) => {
    const a = e.target.closest("a[data-look]");
    if (a && !e.ctrlKey && !e.metaKey && !e.shiftKey) {
      e.preventDefault();
      look(a.search);
      if (a.closest(".tasks")) {
        const log = $(a.hash.slice(1));
        if (log) log.scrollIntoView({ block: "nearest" });
      }
    }
  });
  document.addEventListener("change", (e) => {
    const form = e.target.closest("form[data-look]");
    if (form && e.target.nodeName === "SELECT") form.requestSubmit();
  });

  // Buttons. What a press did is said below.
  let quiet = 0;
  const notify = (text, bad) => {
    toast.textContent = text;
    toast.className = bad ? "shown bad" : "shown";
    clearTimeout(quiet);
    quiet = setTimeout(() => (toast.className = ""), bad ? 12000 : 6000);
  };
  document.addEventListener("submit", async (e) => {
    const form = e.target;
    if (form.hasAttribute("data-look")) {
      e.preventDefault();
      return look("?" + new URLSearchParams(new FormData(form)));
    }
    if (!form.hasAttribute("data-press")) return;
    e.preventDefault();
    const body = new URLSearchParams(new FormData(form, e.submitter));
    try {
      const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "text/plain" } });
      notify((await answer.text()).trim(), !answer.ok);
    } catch {
      notify("The sandbox does not answer.", true);
    }
  });

  const copy = $("copy");
  copy.hidden = !navigator.clipboard;
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText($("exports").textContent);
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 2000);
  });

  for (const e of document.querySelectorAll("[data-follow]")) e.scrollTop = e.scrollHeight;
  setInterval(tell, 1000);
  tell();
  connect();
})();
