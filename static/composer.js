// The composer: sends without losing a text, keeps a draft per topic, and says who a message would go to.
import { merge, toEnd } from "./topic.js"
import * as Turbo from "./turbo.js"

const LONGEST_QUESTION = 2000
const PATIENCE = 20000
const AWAY = "The hub did not answer. Your text is kept here; send it again when it is back."
const SIGNED_OUT = "You are signed out. Your text is kept here; sign in again and come back."
let sending = false
let onceFor = null
let routeTimer = null
let asking = null

const composer = () => document.getElementById("composer")
const field = () => composer()?.elements.namedItem("text")
const who = () => document.documentElement.dataset.user ?? ""
const key = kind => `switchyard:${kind}:${who()}:${composer().dataset.topic}`
const token = () => document.querySelector('meta[name="csrf-token"]')?.content ?? ""

function keep(kind, text) {
  if (text) localStorage.setItem(key(kind), text)
  else localStorage.removeItem(key(kind))
}

function random() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map(byte => byte.toString(16).padStart(2, "0")).join("")
}

// The same text sent again is the same message, should the first answer have been lost; another text is another message.
function once(form, text) {
  const input = form.elements.namedItem("once")
  if (!input) return
  if (onceFor !== null && onceFor !== text) input.value = random()
  onceFor = text
}

async function send(form) {
  const text = field().value
  if (sending || !text.trim()) return
  sending = true
  const button = form.querySelector("button[type=submit]")
  button.disabled = true
  once(form, text)
  try {
    const response = await post(form)
    const sentence = await verdict(form, response)
    if (sentence) refuse(text, sentence)
    else accept(form, text)
  } catch {
    refuse(text, AWAY)
  } finally {
    sending = false
    button.disabled = false
  }
}

function post(form) {
  return fetch(form.action, {
    method: "POST",
    body: new URLSearchParams(new FormData(form)),
    headers: { Accept: "text/vnd.turbo-stream.html, text/html", "X-CSRFToken": token() },
    signal: AbortSignal.timeout(PATIENCE),
  })
}

// null when the hub took the message, else the sentence that says why not.
async function verdict(form, response) {
  const body = await response.text()
  if (response.headers.get("Content-Type")?.startsWith("text/vnd.turbo-stream.html")) {
    Turbo.renderStreamMessage(body)
    return response.ok ? null : AWAY
  }
  const page = new DOMParser().parseFromString(body, "text/html")
  if (!response.ok) return page.querySelector("#composer-refused [data-sentence], main [data-sentence]")?.textContent || AWAY
  if (!page.getElementById("messages")) return SIGNED_OUT
  merge(page)
  return null
}

function accept(form, text) {
  const area = field()
  if (!area || composer() !== form) return
  area.value = area.value.startsWith(text) ? area.value.slice(text.length).trimStart() : area.value
  const input = form.elements.namedItem("once")
  if (input) input.value = random()
  onceFor = null
  keep("draft", area.value)
  keep("refused", "")
  complain("")
  grow()
  askRoute()
  toEnd()
}

function refuse(text, sentence) {
  if (!composer()) return
  keep("draft", field().value)
  keep("refused", text)
  complain(sentence)
}

function complain(sentence) {
  const panel = document.getElementById("composer-refused")
  panel.querySelector("[data-sentence]").textContent = sentence
  panel.hidden = !sentence
  field().setAttribute("aria-invalid", String(Boolean(sentence)))
}

// Browsers without field-sizing get their lines counted.
function grow() {
  if (CSS.supports("field-sizing", "content")) return
  const lines = field().value.split("\n").length
  field().rows = Math.min(10, Math.max(2, lines))
}

function askRoute() {
  clearTimeout(routeTimer)
  routeTimer = setTimeout(showRoute, 350)
}

async function showRoute() {
  if (!composer()) return
  asking?.abort()
  asking = new AbortController()
  const question = new URLSearchParams({ text: field().value.slice(0, LONGEST_QUESTION) })
  try {
    const response = await fetch(`${composer().dataset.route}?${question}`, { headers: { Accept: "application/json" }, signal: asking.signal })
    if (response.ok) document.getElementById("route").innerHTML = (await response.json()).html
  } catch {
    // The line keeps what it said; sending will tell.
  }
}

function onKey(event) {
  if (event.target !== field()) return
  if (event.key === "ArrowUp" && !field().value) return recall(event)
  if (event.key !== "Enter" || event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return
  if (event.isComposing || event.keyCode === 229 || matchMedia("(pointer: coarse)").matches) return
  event.preventDefault()
  composer().requestSubmit()
}

function recall(event) {
  const text = localStorage.getItem(key("refused"))
  if (!text) return
  event.preventDefault()
  field().value = text
  grow()
}

document.addEventListener("submit", event => {
  if (event.target !== composer()) return
  event.preventDefault()
  send(event.target)
}, true)
document.addEventListener("input", event => {
  if (!composer() || event.target !== field()) return
  keep("draft", field().value)
  grow()
  askRoute()
})
document.addEventListener("keydown", onKey)
document.addEventListener("turbo:load", () => {
  onceFor = null
  if (!composer()) return
  if (!field().value) field().value = localStorage.getItem(key("draft")) ?? ""
  grow()
  if (field().value) askRoute()
})
