// How pages follow one another (Turbo), and the small things every form and menu needs.
import "./turbo.js"
import { show, toast } from "./bar.js"

// A hub that does not answer must not cost what somebody typed: stay, and say so.
document.addEventListener("turbo:fetch-request-error", event => {
  event.preventDefault()
  show("trouble", "The hub did not answer.", "Nothing was saved, and nothing on this page is lost. Try again in a moment.")
})

// Turbo swaps the body; what a person chose (theme, zone, keys) and who it is stands on <html>.
document.addEventListener("turbo:before-render", event => {
  const theirs = event.detail.newBody.ownerDocument.documentElement, ours = document.documentElement
  if (theirs === ours) return
  for (const name of ["theme", "zone", "keys", "user"]) {
    if (name in theirs.dataset) ours.dataset[name] = theirs.dataset[name]
    else delete ours.dataset[name]
  }
})

// Turbo puts a refused page at its top after the focus went to the field that needs it; on a long page that is out of sight.
document.addEventListener("turbo:render", () => requestAnimationFrame(() => {
  document.querySelector("[autofocus][aria-invalid]")?.scrollIntoView({ block: "nearest" })
}))

function closeMenus(except = null) {
  for (const menu of document.querySelectorAll("details.me[open], details.menu[open]")) {
    if (menu !== except) menu.open = false
  }
}

document.addEventListener("click", event => {
  if (!event.target.closest(".nav")) closeMenus(event.target.closest("details"))
  const copy = event.target.closest("[data-copy]")
  if (copy) navigator.clipboard.writeText(copy.parentElement.querySelector("pre").textContent).then(() => toast("Copied"))
})

// Drafts stay on this machine only as long as their writer does.
document.addEventListener("submit", event => {
  if (!event.target.matches("[data-forget]")) return
  for (const key of Object.keys(localStorage)) if (key.startsWith("switchyard:")) localStorage.removeItem(key)
}, true)

document.addEventListener("turbo:load", () => {
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard
  for (const note of document.querySelectorAll(".toast")) setTimeout(() => note.remove(), 5000)
})
