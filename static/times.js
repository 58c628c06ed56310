// Keeps every <time> true: in the reader's zone, by the hub's clock, and ticking where it counts. Also the grace rings.
import * as words from "./words.js"

const TICKING = ["ago", "seen", "span", "left", "deadline"]
let offset = 0

// Milliseconds by the hub's clock, however wrong this machine's is.
export function now() {
  return Date.now() + offset
}

export function zone() {
  return document.documentElement.dataset.zone || Intl.DateTimeFormat().resolvedOptions().timeZone
}

export function clock(at = now()) {
  return words.clock(at, zone())
}

function say(element) {
  const at = Date.parse(element.dateTime)
  switch (element.dataset.mode) {
    case "clock": return words.clock(at, zone())
    case "seconds": return words.clock(at, zone(), true)
    case "moment": return words.moment(now(), at, zone())
    case "ago": return words.ago(now(), at, zone())
    case "seen": return words.seen(now(), at)
    case "span": return words.span(now() - at)
    case "left": return words.left(now(), at)
    case "deadline": return words.deadline(now(), at, zone())
    case "day": return words.day(now(), at, zone())
    default: return null
  }
}

export function refresh(root = document, modes = null) {
  for (const element of root.querySelectorAll("time[data-mode]")) {
    if (modes && !modes.includes(element.dataset.mode)) continue
    const text = say(element)
    if (text && element.textContent !== text) element.textContent = text
  }
}

function turnRings() {
  for (const ring of document.querySelectorAll(".ring[data-until]")) {
    const from = Date.parse(ring.dataset.from), until = Date.parse(ring.dataset.until)
    const share = until > from ? Math.min(1, Math.max(0, (until - now()) / (until - from))) : 0
    ring.querySelector(".arc").setAttribute("stroke-dasharray", `${Math.round(100 * share)} 100`)
  }
}

document.addEventListener("turbo:load", () => {
  const hub = Date.parse(document.querySelector('meta[name="now"]')?.content)
  offset = Number.isNaN(hub) ? 0 : hub - Date.now()
  refresh()
})
setInterval(() => {
  if (document.hidden) return
  refresh(document, TICKING)
  turnRings()
}, 1000)
