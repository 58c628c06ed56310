// A topic: what arrives takes its place, the reader is never moved, and what is unread becomes read when it was seen.
import { grow, isHeard, placeAbove, placeAnswer, placeStep, takenBy } from "./answer.js"
import { speak } from "./bar.js"
import { refresh, zone } from "./times.js"
import { dayNumber } from "./words.js"

const NEAR = 120
// What was said: messages, and what an agent asked, which stands as a card.
const SAID = ":scope > :is(.message, .prompt)"
// Messages that took the place of an answer, which was counted when it began.
const counted = new WeakSet()
let unseen = 0
let readUpTo = 0
let readTimer = null

const log = () => document.getElementById("messages")
const idOf = element => Number(/^message-(\d+)$/.exec(element.id)?.[1] ?? 0)
const token = () => document.querySelector('meta[name="csrf-token"]')?.content ?? ""

function lastId() {
  return Math.max(0, ...[...log().querySelectorAll(SAID)].map(idOf))
}

// How far the end of the conversation (the composer, on a phone above the bottom bar) lies below what is seen.
function distance() {
  const main = document.getElementById("main").getBoundingClientRect()
  const bar = document.querySelector("nav.bottom")?.offsetHeight ?? 0
  const rest = document.documentElement.scrollHeight - innerHeight - scrollY
  return Math.min(rest, main.bottom + bar + 16 - innerHeight)
}

const atEnd = () => distance() < NEAR

export function toEnd() {
  scrollBy({ top: distance(), behavior: "instant" })
}

function isMine(element) {
  return element.dataset.kind === "user" && element.dataset.authorId === document.documentElement.dataset.user
}

// One item finds its place: a message by its id, work below its message, anything else at the end; what is there already is
// replaced where it stands, and work on a message that is not shown here stays away. Answers whether it is a new message.
function place(element) {
  if (element.matches(".answer")) return placeAnswer(element, swap)
  if (element.querySelector(".work-line") && log().querySelector(`.answer[data-task="${/\d+/.exec(element.id)}"]`)) return false
  const there = element.id && document.getElementById(element.id)
  if (there) {
    if (!("neutral" in element.dataset)) swap(there, element)
    return false
  }
  if (element.dataset.message) {
    lastBelow(document.getElementById(`message-${element.dataset.message}`))?.after(element)
    return false
  }
  if (element.matches(".prompt") && placeAbove(element)) return true
  const id = idOf(element)
  const answer = id && !element.matches(".prompt") ? takenBy(element) : null
  if (answer) {
    swap(answer, element)
    counted.add(element)
    return true
  }
  const after = id ? [...log().querySelectorAll(SAID)].find(other => idOf(other) > id) : null
  if (id && !after) beginDay(element)
  log().insertBefore(element, after ?? null)
  return id > 0
}

// The focus stays where it was: on the same button, or on what replaced it.
function swap(there, element) {
  const held = there.contains(document.activeElement) ? document.activeElement : null
  there.replaceWith(element)
  if (!held) return
  const same = held.value ? element.querySelector(`button[value="${CSS.escape(held.value)}"]`) : held.id && document.getElementById(held.id)
  const next = same || element.querySelector("a, button, [tabindex]")
  next?.focus()
}

// The line above the first message of a day, as the server draws it when the page is loaded.
function beginDay(element) {
  const time = element.querySelector("time")
  const before = [...log().querySelectorAll(SAID)].at(-1)?.querySelector("time")
  const dayOf = at => dayNumber(Date.parse(at.dateTime), zone())
  if (!time || (before && dayOf(before) === dayOf(time))) return
  const line = Object.assign(document.createElement("p"), { className: "day" })
  const day = time.cloneNode(true)
  day.dataset.mode = "day"
  line.append(document.createElement("span"))
  line.firstChild.append(day)
  log().append(line)
}

// The last of what hangs below a message on the rail.
function lastBelow(message) {
  let last = message
  while (last?.nextElementSibling?.matches(".railed:not(.prompt), .step:not(.prompt)")) last = last.nextElementSibling
  return last
}

// Messages that came in, from whichever side. Answers how many were new.
export function arrive(elements) {
  if (!log() || "partial" in log().dataset) return beyond(elements)
  if (elements.length) document.getElementById("nothing-said")?.remove()
  const stay = atEnd()
  const fresh = elements.filter(element => !element.dataset.steps && place(element))
  elements.filter(element => element.dataset.steps).forEach(placeStep)
  for (const element of fresh) announce(element)
  nameAgain()
  refresh(log())
  if (stay || fresh.some(isMine)) toEnd()
  else below(fresh.filter(element => !counted.has(element)).length)
  markRead()
  return fresh.length
}

// What came over the cable. What is asked comes as nobody's: this reader's own card is fetched before anything is shown.
async function told(elements) {
  const asked = elements.filter(element => "neutral" in element.dataset && !document.getElementById(element.id))
  if (asked.length && !("partial" in log().dataset)) await fillGap()
  arrive(elements)
}

// Who goes on has no name above the words, until another one's words come between: an answer stays where it was read.
function nameAgain() {
  for (const element of log().querySelectorAll(".message[data-continued]")) {
    let before = element.previousElementSibling
    while (before && !before.matches(".message")) before = before.previousElementSibling
    if (before && !isBySame(before, element)) name(element)
  }
}

const isBySame = (one, other) => one.dataset.kind === other.dataset.kind && one.dataset.author === other.dataset.author

function name(element) {
  const named = [...log().querySelectorAll(".message:not([data-continued])")].find(other => isBySame(other, element))
  const by = element.querySelector(`#by-${idOf(element)}`), side = element.querySelector(".side")
  if (!named || !by) return
  const who = Object.assign(document.createElement("strong"), { textContent: element.dataset.author })
  const when = Object.assign(document.createElement("span"), { className: "meta" })
  when.append(...side.childNodes)
  by.className = "by"
  by.replaceChildren(who, " ", when)
  side.replaceChildren(named.querySelector(".avatar").cloneNode(true))
  delete element.dataset.continued
}

function beyond(elements) {
  if (log() && elements.length) below(elements.filter(element => idOf(element)).length)
  return elements.length
}

function announce(element) {
  if (!counted.has(element)) element.classList.add("is-new")
  element.addEventListener("animationend", () => element.classList.remove("is-new"), { once: true })
  if (element.matches(".answer")) return
  if (isMine(element) || element.dataset.kind === "system") return
  if (element.matches(".prompt")) return speak(`${element.dataset.author} asks for a decision`)
  const cut = element.querySelector(".cut")
  if (cut) return speak(`${element.dataset.author}: ${cut.textContent}`)
  speak(element.dataset.kind === "agent" ? `${element.dataset.author} answered` : `${element.dataset.author} wrote`)
}

function below(count) {
  if (!count) return
  unseen += count
  const button = document.getElementById("new-below")
  button.textContent = `${unseen} new below`
  button.hidden = unseen === 0
}

function seenEnd() {
  if (!log() || !atEnd()) return
  unseen = 0
  const button = document.getElementById("new-below")
  if (button && !("partial" in log().dataset)) button.hidden = true
  markRead()
}

function markRead() {
  clearTimeout(readTimer)
  readTimer = setTimeout(sayRead, 600)
}

async function sayRead() {
  const url = log()?.dataset.read
  if (!url || document.hidden || !atEnd()) return
  const last = lastId()
  if (last <= readUpTo) return
  readUpTo = last
  const body = new URLSearchParams({ last_message_id: String(last) })
  await fetch(url, { method: "POST", body, headers: { "X-CSRFToken": token() } }).catch(() => { readUpTo = 0 })
}

// What was said between the page's making and its first live moment: a short question, if the page names where to ask.
export async function fillGap() {
  const url = log()?.dataset.after
  if (!url) return 0
  const response = await fetch(`${url}?id=${lastId()}`, { headers: { Accept: "text/html" } }).catch(() => null)
  if (!response?.ok) return 0
  const page = new DOMParser().parseFromString(response.status === 204 ? "" : await response.text(), "text/html")
  const ended = [...log().querySelectorAll(".answer")].some(answer => !isHeard(answer) && !page.getElementById(answer.id))
  const came = arrive([...page.body.children].map(adopt))
  return ended ? came + await catchUp() : came
}

// After a loss: the page as it is now, laid over the one that is open. Text in the composer is not touched.
export async function catchUp() {
  const response = await fetch(location.href, { headers: { Accept: "text/html", "X-Looking-Again": "1" } }).catch(() => null)
  if (!response?.ok || response.redirected) return 0
  const page = new DOMParser().parseFromString(await response.text(), "text/html")
  return merge(page)
}

export function merge(page) {
  const theirs = page.getElementById("messages")
  if (!theirs || !log() || theirs.dataset.topic !== log().dataset.topic) return 0
  const known = lastId()
  const ids = [...theirs.children].map(idOf).filter(Boolean)
  for (const element of [...log().children]) {
    if (element.id && !idOf(element) && !isHeard(element) && !page.getElementById(element.id)) element.remove()
  }
  if (ids.length && known && Math.min(...ids) > known) log().replaceChildren()
  for (const selector of [".page > aside", ".page-head", "#shell-falls"]) renew(selector, page)
  if (!document.getElementById("composer-text")?.value) renew("#route", page)
  arrive([...theirs.children].filter(element => element.id).map(adopt))
  return ids.filter(id => id > known).length
}

function renew(selector, page) {
  const theirs = page.querySelector(selector), ours = document.querySelector(selector)
  if (theirs && ours && theirs.textContent !== ours.textContent && !ours.contains(document.activeElement)) ours.replaceWith(adopt(theirs))
}

const adopt = element => document.adoptNode(element)

// An answer goes on (static/answer.js).
export function goOn(frame, ask) {
  grow(frame, ask, { arrive, stay: atEnd, toEnd, look: catchUp })
}

document.addEventListener("turbo:before-stream-render", event => {
  if (!log()) return
  const stream = event.target
  const render = event.detail.render
  const appends = stream.getAttribute("action") === "append" && stream.getAttribute("target") === "messages"
  event.detail.render = async element => {
    if (appends) return void told([...element.templateContent.children].map(child => child.cloneNode(true)))
    const stay = atEnd()
    await render(element)
    if (stay) toEnd()
  }
})

document.addEventListener("click", event => {
  if (!event.target.closest("#new-below")) return
  if ("partial" in log().dataset) location.assign(location.pathname)
  else toEnd()
})

document.addEventListener("turbo:load", () => {
  unseen = 0
  readUpTo = 0
  if (!log()) return
  if (!location.hash && !("partial" in log().dataset)) toEnd()
  seenEnd()
})
addEventListener("scroll", seenEnd, { passive: true })
document.addEventListener("visibilitychange", seenEnd)
