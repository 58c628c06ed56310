// The live page: follows the streams it names over the hub's cable, applies what comes, and says so when it stops.
import "./composer.js"
import "./drive.js"
import "./keys.js"
import * as Turbo from "./turbo.js"
import { createConsumer } from "./vendor/actioncable.js"
import { hide, show } from "./bar.js"
import { clock, now, refresh } from "./times.js"
import { catchUp, fillGap, goOn } from "./topic.js"

const CHANNEL = "Switchyard::PageChannel"
const DELAYS = [1, 2, 4, 8, 15, 30]
const QUIET = 2000
const SHORTEST = 1500
const consumer = createConsumer("/cable")
const connection = consumer.connection
const followed = new Map()
const confirmed = new Set()
let lostAt = null
let nextTry = null
let tries = 0
let stopped = false
let shown = false
const planned = new Map()

function wanted() {
  const named = [...document.querySelectorAll('meta[name="stream"]')].map(meta => meta.content)
  const marked = [...document.querySelectorAll("[data-stream]")].map(element => element.dataset.stream)
  return new Set([...named, ...marked])
}

function follow() {
  const names = wanted()
  for (const [name, subscription] of followed) {
    if (names.has(name)) continue
    subscription.unsubscribe()
    followed.delete(name)
    confirmed.delete(name)
  }
  for (const name of names) {
    if (confirmed.has(name)) askSince(name)
    if (!followed.has(name)) followed.set(name, subscribe(name))
  }
  if (followed.size && !live() && lostAt === null) lostAt = now()
  if (!followed.size || live()) forgetTrouble()
}

function subscribe(stream) {
  return consumer.subscriptions.create({ channel: CHANNEL, stream }, {
    connected: () => arrived(stream),
    disconnected: ({ willAttemptReconnect } = {}) => lost(willAttemptReconnect),
    rejected: () => refused(stream),
    received: message => apply(message, key => followed.get(stream)?.perform("again", { key })),
  })
}

// Between the making of a page and its subscription something may have happened: the hub says what, as nudges.
function askSince(stream) {
  const at = document.querySelector('meta[name="now"]')?.content
  if (at) followed.get(stream)?.perform("since", { at })
}

function live() {
  return [...followed.keys()].every(name => confirmed.has(name))
}

function apply({ html, answer, refresh: event }, ask) {
  if (answer) goOn(answer, ask)
  if (html) Turbo.renderStreamMessage(html)
  if (event) nudge(event)
}

// What differs by reader comes as a nudge to look again: the navigation, or the page when it asked for such events.
function nudge(event) {
  const asked = document.querySelector('meta[name="refresh-on"]')?.content.split(" ") ?? []
  const waits = event === "slots" && asked.includes(event) // a chat in line: its place may have changed
  const around = ["topics", "chats", "approvals", "rights", "gateways", "tray", "look_again"]
  if (around.includes(event) || waits) soon("shell", renewShell)
  if (asked.includes(event) || event === "look_again") soon("page", renew)
}

// Nudges come in bursts, and to all open pages at once: one look each, not all in the same moment.
function soon(what, look) {
  if (planned.has(what)) return
  planned.set(what, setTimeout(() => {
    planned.delete(what)
    look()
  }, SHORTEST * (0.5 + Math.random())))
}

async function renewShell() {
  const at = encodeURIComponent(location.pathname)
  const response = await fetch(`/shell?at=${at}`, { headers: { Accept: "text/html" } }).catch(() => null)
  if (!response?.ok || response.redirected) return
  const page = new DOMParser().parseFromString(await response.text(), "text/html")
  countInTitle(page.getElementById("shell-approvals")?.dataset.count ?? "0")
  for (const id of ["shell-nav", "shell-bottom", "shell-aside", "shell-approvals", "shell-gateway", "shell-seat", "shell-falls", "shell-seats"]) {
    const theirs = page.getElementById(id), ours = document.getElementById(id)
    if (theirs && ours && !ours.contains(document.activeElement)) ours.replaceChildren(...theirs.childNodes)
  }
}

// A page that counts something else in its title renews it with itself.
function countInTitle(count) {
  if (!("titled" in (document.getElementById("shell-approvals")?.dataset ?? {}))) return
  const name = document.title.replace(/^\(\d+\+?\) /, "")
  document.title = count === "0" ? name : `(${count > 99 ? "99+" : count}) ${name}`
}

function lost(willTry) {
  confirmed.clear()
  if (lostAt === null) lostAt = now()
  stopped = willTry === false
}

function refused(stream) {
  followed.delete(stream)
  forgetTrouble()
  show("trouble", "This page gets no live updates.", "You may no longer see what it shows.")
}

async function arrived(stream) {
  confirmed.add(stream)
  if (!shown) askSince(stream)
  if (!live() || lostAt === null) return
  const wasShown = shown
  forgetTrouble()
  const came = wasShown ? await renew() : await fillGap()
  if (wasShown) soon("shell", renewShell)
  if (wasShown) announce(came)
}

function forgetTrouble() {
  lostAt = nextTry = null
  tries = 0
  stopped = shown = false
  hide()
}

function announce(came) {
  const news = came === 1 ? " 1 message came in." : came ? ` ${came} messages came in.` : ""
  show("live", `Back since ${clock()}.${news}`, "", false)
  setTimeout(() => { if (!shown) hide() }, 10000)
}

// What was missed: a topic fetches its messages, any other page is loaded again in place unless somebody types in it.
async function renew() {
  if (document.getElementById("messages")) return catchUp()
  if (isBeingChosen()) return void soon("page", renew)
  if (!isBeingFilledIn()) Turbo.session.refresh(location.href, { method: "morph", scroll: "preserve" })
  return null
}

// Whoever is about to press a button in a list must not find another one under the pointer.
function isBeingChosen() {
  return document.querySelector(".approvals-list .approval:hover") !== null
}

function isBeingFilledIn() {
  return [...document.querySelectorAll("main input, main textarea, main select")].some(field => {
    if (field.type === "hidden" || field.type === "submit") return false
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked
    if (field.tagName === "SELECT") return [...field.options].some(option => option.selected !== option.defaultSelected)
    return field.value !== field.defaultValue
  })
}

// The cable's own retries have no clock that could be shown, so we keep ours: one look a second while something is missing.
function tick() {
  if (!followed.size || live() || lostAt === null) return
  if (!connection.isActive() && !stopped) retry()
  if (now() - lostAt < QUIET) return
  shown = true
  const since = `Live updates stopped at ${clock(lostAt)}.`
  if (stopped) return show("trouble", since, "What you see may be old; forms still work.")
  show("trouble", since, `${whenNext()} What you see may be old; forms still work.`)
}

function retry() {
  connection.monitor.stop()
  if (nextTry === null) nextTry = Date.now() + 1000 * DELAYS[Math.min(tries++, DELAYS.length - 1)] * (1 + 0.3 * Math.random())
  if (Date.now() < nextTry) return
  nextTry = null
  connection.open()
}

function whenNext() {
  const seconds = nextTry === null ? 0 : Math.ceil((nextTry - Date.now()) / 1000)
  return seconds > 0 ? `Trying again in ${seconds} s.` : "Trying again now."
}

document.addEventListener("turbo:load", follow)
document.addEventListener("turbo:before-stream-render", event => {
  const render = event.detail.render
  event.detail.render = async element => {
    await render(element)
    refresh()
  }
})
addEventListener("online", () => { nextTry = 0 })
setInterval(tick, 1000)
