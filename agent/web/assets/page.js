// Keeps the page up to date: each event of the stream is named for the element whose content it carries, as a JSON string
// of HTML that the server has escaped.
"use strict";
(() => {
  const quiet = 15000; // ms; the agent speaks every 5 s
  const stale = document.getElementById("stale");
  const said = document.getElementById("said");
  let heard = performance.now();
  let heardAt = new Date();
  let verdict = word();

  // The class list ends with the verdict's word.
  function word() {
    return document.getElementById("verdict").className;
  }

  // Makes the old node like the new one and keeps what is the same, so that focus, selection and a screen reader's place
  // survive.
  function morph(old, fresh) {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
      old.replaceWith(fresh.cloneNode(true));
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    children(old, fresh);
  }

  function children(old, fresh) {
    const now = [...fresh.childNodes];
    while (old.childNodes.length > now.length) old.lastChild.remove();
    now.forEach((node, i) => {
      if (i < old.childNodes.length) morph(old.childNodes[i], node);
      else old.append(node.cloneNode(true));
    });
  }

  function show(event) {
    heard = performance.now();
    heardAt = new Date();
    stale.hidden = true;
    const fresh = document.createElement("template");
    fresh.innerHTML = JSON.parse(event.data);
    children(document.getElementById(event.type), fresh.content);
    if (event.type === "now") tell();
  }

  // The title always follows; only another verdict is read aloud, not each second that passes.
  function tell() {
    const section = document.getElementById("verdict");
    document.title = section.dataset.title;
    if (word() === verdict) return;
    verdict = word();
    said.textContent = section.querySelector("h2").textContent + ": " + section.querySelector("p").textContent;
  }

  function lost() {
    if (!stale.hidden) return;
    stale.textContent = "The agent does not answer. This is how things stood at " + heardAt.toLocaleTimeString("en-GB") + "; trying again.";
    stale.hidden = false;
  }

  // Carries out what a button stands for, and says what became of it. Only pages with a token have buttons.
  let acting = false;
  async function act(button) {
    if (acting || (button.dataset.ask && !confirm(button.dataset.ask))) return;
    acting = true;
    say(button.textContent + ": under way…");
    try {
      const answer = await fetch("api/v1/actions/" + encodeURIComponent(button.dataset.action), { method: "POST" });
      say((await answer.json()).text, 10000);
    } catch {
      say("The agent does not answer: nothing is known of what became of it.");
    }
    acting = false;
  }

  let hush = 0;
  function say(text, ms) {
    const done = document.getElementById("done");
    clearTimeout(hush);
    done.textContent = text;
    done.hidden = false;
    if (ms) hush = setTimeout(() => { done.hidden = true; }, ms);
  }

  document.documentElement.classList.add("live");
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-action]");
    if (button) act(button);
  });

  function listen() {
    const stream = new EventSource("live");
    for (const name of ["now", "charts", "lists"]) stream.addEventListener(name, show);
    stream.addEventListener("error", () => {
      lost();
      if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 5000); // refused outright: the browser gave up
    });
  }

  setInterval(() => {
    if (performance.now() - heard > quiet) lost();
  }, 5000);
  listen();
})();
