// The standard Action Cable client under Node. Commands come in as lines of JSON, events go out the same way.
//
// in   {"do":"connect","url":"ws://...","origin":"http://..."}   {"do":"subscribe","name":"a","params":{...}}
//      {"do":"perform","name":"a","action":"x","data":{...}}     {"do":"unsubscribe","name":"a"}
//      {"do":"drop"} (no goodbye)   {"do":"return"} (the tab comes to the front: look at the connection now)
//      {"do":"disconnect"}
// out  {"event":"opened","protocol":"..."}  {"event":"closed","code":1006}  {"event":"failed","why":"..."}
//      {"event":"sent","data":"..."}        {"event":"frame","data":"..."}       (as they are on the wire)
//      {"event":"connected"|"disconnected"|"received"|"rejected","name":"a",...}
import { createInterface } from "node:readline"
import WebSocket from "ws"

// What the library expects of a browser.
const listeners = new Set()
globalThis.addEventListener = (kind, listener) => listeners.add(listener)
globalThis.removeEventListener = (kind, listener) => listeners.delete(listener)
globalThis.document = { visibilityState: "visible" }
const { adapters, createConsumer } = await import("@rails/actioncable")

const tell = (event, more = {}) => process.stdout.write(JSON.stringify({ event, ...more }) + "\n")
const subscriptions = new Map()
let consumer, origin, current

class ToldWebSocket extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { origin })
    current = this
    this.on("open", () => tell("opened", { protocol: this.protocol }))
    this.on("close", (code) => tell("closed", { code }))
    this.on("error", (error) => tell("failed", { why: error.message }))
    this.on("message", (data) => tell("frame", { data: data.toString() }))
  }

  send(data) {
    tell("sent", { data })
    super.send(data)
  }
}
adapters.WebSocket = ToldWebSocket

const verbs = {
  connect(command) {
    origin = command.origin
    consumer = createConsumer(command.url)
    consumer.connect()
  },
  subscribe({ name, params }) {
    subscriptions.set(name, consumer.subscriptions.create(params, {
      connected: (how) => tell("connected", { name, ...how }),
      disconnected: (how) => tell("disconnected", { name, ...how }),
      received: (message) => tell("received", { name, message }),
      rejected: () => tell("rejected", { name }),
    }))
  },
  perform: ({ name, action, data }) => subscriptions.get(name).perform(action, data),
  unsubscribe: ({ name }) => subscriptions.get(name).unsubscribe(),
  drop: () => current.terminate(),
  return: () => listeners.forEach((listener) => listener()),
  disconnect: () => consumer.disconnect(),
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line)
    verbs[command.do](command)
  })
  .on("close", () => process.exit(0))
