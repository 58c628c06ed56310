// The vendored Turbo, without its progress bar. Everything of ours imports it from here.
import { letGo } from "./hold_style.js"
import { session } from "./vendor/turbo.js"

letGo()
session.adapter.progressBar.show = () => {}
session.adapter.progressBar.hide = () => {}

export * from "./vendor/turbo.js"
