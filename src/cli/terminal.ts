// Where output goes: colour only on a terminal and without NO_COLOR; a reader that goes away (`| head`) is no error.

import { type Palette, palette } from '../report/table.ts'
import { Exit } from './usage-error.ts'

/** Writes lines to standard output. */
export function say(lines: readonly string[]): void {
  if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`)
}

/** Colours for `stream`. */
export function coloursFor(stream: NodeJS.WriteStream): Palette {
  const { NO_COLOR, TERM } = process.env
  return palette(stream.isTTY === true && (NO_COLOR === undefined || NO_COLOR === '') && TERM !== 'dumb')
}

/** Ends the program quietly when nobody reads its output any more. */
export function surviveClosedPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0)
      throw error
    })
  }
}

/** Has Ctrl-C end the program as its end does, so that what it has put on disk is removed. For commands without partial results. */
export function endOnInterrupt(): void {
  process.once('SIGINT', () => {
    process.stderr.write('gracewalk: interrupted\n')
    process.exit(Exit.interrupted)
  })
}
