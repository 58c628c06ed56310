// The bar under the header, and what is spoken to readers.
const bar = () => document.getElementById("live-bar")

export function show(state, strong, text = "", again = true) {
  const element = bar()
  if (!element) return
  element.hidden = false
  element.dataset.state = state
  element.querySelector(".lamp").dataset.state = state
  element.querySelector("use").setAttribute("href", `#lamp-${state}`)
  write(element.querySelector('[data-part="strong"]'), strong)
  write(element.querySelector('[data-part="text"]'), text)
  const link = element.querySelector('[data-part="again"]')
  link.hidden = !again
  link.href = location.href
}

export function hide() {
  const element = bar()
  if (element) element.hidden = true
}

// One polite sentence for those who listen instead of look.
export function speak(sentence) {
  const status = document.getElementById("status")
  if (status) status.textContent = sentence
}

// Confirms one's own act where nothing visible changed. Never an error.
export function toast(sentence) {
  const place = document.getElementById("toasts")
  if (!place) return
  const note = document.createElement("p")
  note.className = "toast"
  note.textContent = sentence
  place.replaceChildren(note)
  setTimeout(() => note.remove(), 5000)
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text
}
