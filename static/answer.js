// Answers that are being given: what is added goes where it will stay, and nothing that was shown moves.
const PIECE = 4000
const ASK_AGAIN = 2000
const LATELY = 10000
const NO_MESSAGE = 4000
const finished = new Set()
const heardAt = new Map()
const askedAt = new Map()

const log = () => document.getElementById("messages")
const byRun = key => document.getElementById(`answer-${key}`)
const withRun = key => log().querySelector(`.message:not(.answer)[data-run="${CSS.escape(key)}"]`)

// Whether a run's message is here, or was: whatever still comes of its text is late.
export function isOver(key) {
  return finished.has(key) || withRun(key) !== null
}

// Whether the text came a moment ago: a page that was made before knows less.
export function isHeard(element) {
  const key = element.dataset.run ?? element.dataset.steps
  return key !== undefined && !("over" in element.dataset) && Date.now() - (heardAt.get(key) ?? 0) < LATELY && !finished.has(key)
}

// The answer whose place a message takes; several for one task (it was asked again) leave together.
export function takenBy(message) {
  const { run, task } = message.dataset
  if (run) finished.add(run)
  const mine = [...log().querySelectorAll(".answer")].filter(one => (run && one.dataset.run === run) || (task && one.dataset.task === task))
  for (const one of mine) finished.add(one.dataset.run)
  for (const one of mine.slice(1)) one.remove()
  return mine[0] ?? null
}

// An answer begins or is shown anew. Answers whether it is the first this page sees of it.
export function placeAnswer(element, swap) {
  const key = element.dataset.run, there = byRun(key) ?? sameTask(element)
  if (isOver(key)) return false
  heardAt.set(key, Date.now())
  if (there) {
    if (there.dataset.run !== key) finished.add(there.dataset.run)
    if (there.id !== element.id || Number(there.dataset.revision) < Number(element.dataset.revision)) swap(there, element)
    return false
  }
  document.querySelector(`#task-${element.dataset.task}-on-rail:has(.work-line)`)?.remove()
  log().append(element)
  return true
}

// A task that goes on in another run: its answer is the same one.
function sameTask({ dataset: { task } }) {
  return task ? log().querySelector(`.answer[data-task="${task}"]`) : null
}

// Lines of tools stand right above what they led to.
export function placeStep(element) {
  const key = element.dataset.steps, there = document.getElementById(element.id)
  if (there) return void renew(there, element)
  const answer = byRun(key) ?? withRun(key)
  answer?.before(element)
}

// What is asked on the way to an answer stands above it and its lines, as when it is given. Answers whether there is one.
export function placeAbove(element) {
  const answer = sameTask(element)
  if (!answer) return false
  const first = log().querySelector(`[data-steps="${CSS.escape(answer.dataset.run)}"]`) ?? answer
  first.before(element)
  return true
}

// The same line stays as it is; one that changed stays open when it was.
function renew(there, element) {
  for (const inside of [there, ...there.querySelectorAll("details")]) {
    if (!inside.open) continue
    const same = element.id === inside.id ? element : element.querySelector(`#${CSS.escape(inside.id)}`)
    if (same) same.open = true
  }
  if (!there.isEqualNode(element)) there.replaceWith(element)
}

// A frame of an answer; `ask` asks for all of it when this page lost its place.
export function grow(frame, ask, { arrive, stay, toEnd, look }) {
  if (!log() || "partial" in log().dataset) return
  if (frame.whole) return void arrive(parsed(frame.whole))
  const element = byRun(frame.key)
  if (!element) return frame.over || isOver(frame.key) ? undefined : again(frame.key, ask)
  if (!("after" in frame)) return end(element, look)
  const revision = Number(element.dataset.revision)
  if (revision > frame.after && revision >= frame.revision) return
  if (revision !== frame.after) return again(frame.key, ask)
  const atEnd = stay()
  element.dataset.revision = frame.revision
  heardAt.set(frame.key, Date.now())
  write(element.querySelector(".text"), frame)
  if (frame.steps) renewSteps(frame.key, frame.steps)
  if (frame.line) element.querySelector(".answering").replaceWith(...parsed(frame.line))
  if (frame.over) end(element, look)
  if (atEnd) toEnd()
}

function again(key, ask) {
  if (Date.now() - (askedAt.get(key) ?? 0) < ASK_AGAIN) return
  askedAt.set(key, Date.now())
  ask(key)
}

function write(text, frame) {
  const open = text.lastElementChild
  if ("from" in frame) {
    for (const old of [...text.children].slice(frame.from, -1)) old.remove()
    for (const html of frame.parts) open.before(part(html))
  }
  if ("open" in frame) open.innerHTML = frame.open
  if (frame.add) append(open.querySelector("[data-grows]"), frame.add)
}

function part(html) {
  const element = Object.assign(document.createElement("div"), { className: "part" })
  element.innerHTML = html
  return element
}

// Letters at the end of a long text: in pieces that begin with a line, so that the browser need not lay out all of it again.
function append(target, text) {
  const last = target.lastElementChild ?? target
  if (last.textContent.length > PIECE) {
    const end = text.indexOf("\n") + 1
    if (end && end < text.length) {
      last.append(text.slice(0, end))
      const piece = Object.assign(document.createElement("span"), { className: "piece" })
      target.append(piece)
      return piece.append(text.slice(end))
    }
  }
  if (last.lastChild?.nodeType === Node.TEXT_NODE) last.lastChild.appendData(text)
  else last.append(text)
}

function renewSteps(key, html) {
  const theirs = parsed(html), ids = new Set(theirs.map(step => step.id))
  for (const old of log().querySelectorAll(`[data-steps="${CSS.escape(key)}"]`)) if (!ids.has(old.id)) old.remove()
  theirs.forEach(placeStep)
}

function parsed(html) {
  const holder = document.createElement("template")
  holder.innerHTML = html
  return [...document.importNode(holder.content, true).children]
}

// Nothing more comes: its message takes its place in a moment, or there is none, then the page looks again.
function end(element, look) {
  if ("over" in element.dataset) return
  element.dataset.over = ""
  element.querySelector(".text").removeAttribute("aria-busy")
  setTimeout(() => { if (element.isConnected) look() }, NO_MESSAGE)
}
