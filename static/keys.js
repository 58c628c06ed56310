// The keyboard. Single letters do nothing in fields, and nothing at all for those who switched them off.
import * as Turbo from "./turbo.js"

const PLACES = { n: "/", a: "/approvals", t: "/tasks", w: "/gateways", s: "/slots" }
const TABLE = [
  ["/", "search"],
  ["g, then n a t w s", "Now, approvals, tasks, gateways, slots"],
  ["j k, Enter", "next, previous, open in a list"],
  ["a d", "on a focused approval: go to Allow or Deny; Enter decides"],
  ["r", "write"],
  ["Enter, Shift Enter", "send, new line"],
  ["Up", "in an empty composer: your last text that was refused"],
  ["Esc", "close what is open, else leave the field"],
  ["?", "this table"],
]
let going = 0

function isField(element) {
  return element.closest("input, textarea, select, [contenteditable]") !== null
}

function stops() {
  const found = document.querySelectorAll("main .list > .row, main .approval, main .table tbody tr")
  return [...found].map(stop => stop.matches(".approval") ? stop : stop.querySelector("a, button")).filter(Boolean)
}

function move(step) {
  const list = stops()
  if (!list.length) return false
  const here = list.findIndex(stop => stop === document.activeElement || stop.contains(document.activeElement))
  const next = here < 0 ? (step > 0 ? 0 : list.length - 1) : Math.min(list.length - 1, Math.max(0, here + step))
  list[next].focus({ focusVisible: true })
  return true
}

function go(key) {
  going = 0
  const path = PLACES[key]
  if (!path || !document.querySelector(`.nav a[href="${path}"]`)) return false
  Turbo.visit(path)
  return true
}

function focusOn(selector, within = document) {
  const target = within.querySelector(selector)
  target?.focus({ focusVisible: true })
  return Boolean(target)
}

function decide(word) {
  const card = document.activeElement?.closest(".approval") ?? document.querySelector("main > .approval")
  return card ? focusOn(`button[name="behavior"][value="${word}"]`, card) || focusOn(".actions .filled", card) : false
}

function open() {
  const card = document.activeElement
  return card?.matches(".approval") ? (card.querySelector("a[href]")?.click(), true) : false
}

function escape() {
  const menu = document.querySelector("details.menu[open], details.me[open]")
  if (menu) {
    menu.open = false
    menu.querySelector("summary").focus()
    return true
  }
  if (isField(document.activeElement)) document.activeElement.blur()
  return false
}

function explain() {
  const dialog = document.createElement("dialog")
  dialog.className = "keys"
  dialog.setAttribute("aria-labelledby", "keys-heading")
  const heading = Object.assign(document.createElement("h2"), { id: "keys-heading", textContent: "Keys" })
  const list = document.createElement("dl")
  list.className = "facts"
  for (const [keys, does] of TABLE) {
    const term = document.createElement("dt")
    term.append(Object.assign(document.createElement("kbd"), { textContent: keys }))
    list.append(term, Object.assign(document.createElement("dd"), { textContent: does }))
  }
  const close = Object.assign(document.createElement("button"), { className: "button", type: "button", textContent: "Close" })
  close.addEventListener("click", () => dialog.close())
  dialog.addEventListener("close", () => dialog.remove())
  dialog.append(heading, list, close)
  document.body.append(dialog)
  dialog.showModal()
  return true
}

const LETTERS = {
  "/": () => focusOn("#search"),
  "?": explain,
  g: () => { going = Date.now(); return true },
  j: () => move(1),
  k: () => move(-1),
  a: () => decide("allow"),
  d: () => decide("deny"),
  r: () => focusOn("#composer-text"),
}

document.addEventListener("keydown", event => {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return
  if (event.key === "Escape") return void escape()
  if (isField(event.target) || document.documentElement.dataset.keys === "off" || document.querySelector("dialog[open]")) return
  if (event.key === "Enter") return void (open() && event.preventDefault())
  const done = going && Date.now() - going < 1500 ? go(event.key) : (going = 0, LETTERS[event.key]?.())
  if (done) event.preventDefault()
})
