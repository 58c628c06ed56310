// Times in words, the same as webapp/words.py says them: pure functions over milliseconds and an IANA zone.
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
const WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
const formats = new Map()

function parts(at, zone) {
  if (!formats.has(zone)) {
    formats.set(zone, new Intl.DateTimeFormat("en-GB", {
      timeZone: zone, year: "numeric", month: "numeric", day: "numeric",
      hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
    }))
  }
  return Object.fromEntries(formats.get(zone).formatToParts(at).map(part => [part.type, part.value]))
}

export function dayNumber(at, zone) {
  const { year, month, day } = parts(at, zone)
  return Date.UTC(+year, +month - 1, +day) / 86400000
}

export function span(length) {
  const seconds = Math.max(1, Math.floor(length / 1000))
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`
  return seconds < 172800 ? "1 day" : `${Math.floor(seconds / 86400)} days`
}

export function clock(at, zone, seconds = false) {
  const { hour, minute, second } = parts(at, zone)
  return seconds ? `${hour}:${minute}:${second}` : `${hour}:${minute}`
}

export function day(now, at, zone) {
  const number = dayNumber(at, zone)
  const distance = dayNumber(now, zone) - number
  if (distance === 0) return "Today"
  if (distance === 1) return "Yesterday"
  const then = new Date(number * 86400000)
  if (distance > 1 && distance < 7) return WEEKDAYS[then.getUTCDay()]
  const written = `${then.getUTCDate()} ${MONTHS[then.getUTCMonth()]}`
  return parts(at, zone).year === parts(now, zone).year ? written : `${written} ${then.getUTCFullYear()}`
}

export function moment(now, at, zone) {
  const word = day(now, at, zone)
  if (word === "Today") return clock(at, zone)
  if (word === "Yesterday") return `yesterday ${clock(at, zone)}`
  return WEEKDAYS.includes(word) ? `${word} ${clock(at, zone)}` : word
}

export function ago(now, at, zone) {
  const passed = now - at
  if (passed < 10000) return "just now"
  if (passed < 3600000 || dayNumber(at, zone) === dayNumber(now, zone)) return `${span(passed)} ago`
  return moment(now, at, zone)
}

export function seen(now, at) {
  return now - at < 1000 ? "just now" : `${span(now - at)} ago`
}

export function left(now, until) {
  return until > now ? `${span(until - now)} left` : "no time left"
}

export function deadline(now, until, zone) {
  const at = clock(until, zone, Math.abs(until - now) < 120000)
  return until > now ? `in ${span(until - now)}, at ${at}` : `at ${at}`
}
