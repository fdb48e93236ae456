// How far something long has come: a bar on a terminal, a plain line every two seconds elsewhere. On standard error.
import { SingleBar } from 'cli-progress'

const EVERY = 2000

/** The progress of a command. */
export interface Progress {
  /** What is done now, how much of it, of how much. A `total` of 0 is not known. */
  at(what: string, done: number, total: number): void
  stop(): void
}

/** A progress on standard error; `quiet` shows nothing. */
export function startProgress(quiet: boolean): Progress {
  if (quiet) return { at: () => {}, stop: () => {} }
  return process.stderr.isTTY ? bar() : lines()
}

function bar(): Progress {
  const shown = new SingleBar({
    format: '{bar} {percentage}% {what}',
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
    barsize: 24,
  })
  let running = false
  return {
    at: (what, done, total) => {
      if (!running) shown.start(Math.max(1, total), 0, { what })
      running = true
      shown.setTotal(Math.max(1, total))
      shown.update(Math.min(done, Math.max(1, total)), { what })
    },
    stop: () => {
      if (running) shown.stop()
      running = false
    },
  }
}

function lines(): Progress {
  let next = performance.now() + EVERY
  return {
    at: (what, done, total) => {
      if (performance.now() < next) return
      next = performance.now() + EVERY
      const share = total > 0 ? `: ${Math.floor((done / total) * 100)}%` : done > 0 ? `: ${done}` : ''
      process.stderr.write(`${what}${share}\n`)
    },
    stop: () => {},
  }
}
