// Logs that grow: each <pre data-tail="address"> is looked at every two seconds while somebody sees it.
const EVERY = 2000
let looking = false

async function look() {
  if (document.hidden || looking) return
  looking = true
  try {
    for (const tail of document.querySelectorAll("pre[data-tail]")) await renew(tail)
  } finally {
    looking = false
  }
}

async function renew(tail) {
  if (tail.closest("details")?.open === false) return
  try {
    const answer = await fetch(tail.dataset.tail, { headers: { Accept: "text/plain" } })
    if (!answer.ok || answer.redirected) return
    const text = await answer.text()
    if (text === tail.textContent) return
    const atEnd = tail.scrollHeight - tail.scrollTop - tail.clientHeight < 24
    tail.textContent = text
    if (atEnd) tail.scrollTop = tail.scrollHeight
  } catch {
    // Away for a moment: the bar of the live page says so.
  }
}

function toTheEnd() {
  for (const tail of document.querySelectorAll("pre[data-tail]")) tail.scrollTop = tail.scrollHeight
}

document.addEventListener("turbo:load", toTheEnd)
toTheEnd()
setInterval(look, EVERY)
