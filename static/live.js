// The live page: follows the streams the page names, applies what comes, and says so when it stops.
import * as Turbo from "./vendor/turbo.js"

// Turbo's progress bar would put a <style> into the page, which our policy forbids.
Turbo.session.adapter.progressBar.show = () => {}
Turbo.session.adapter.progressBar.hide = () => {}
