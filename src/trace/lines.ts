// Cuts a stream of bytes into lines. Memory is bounded by the chunk and by the longest line kept; of a longer line
// only the beginning is given.
import { StringDecoder } from 'node:string_decoder'

/** Characters kept of one line. */
export const LONGEST_LINE = 1 << 17

/** What the line cutter saw. */
export interface LineState {
  bytes: number
  /** Lines that were longer than {@link LONGEST_LINE}. */
  cut: number
  /** The last line has no line feed at its end. */
  open: boolean
}

/** The lines of `chunks`, without line ends, in arrays (one per chunk). */
export async function* cutLines(chunks: AsyncIterable<Uint8Array>, state: LineState): AsyncGenerator<string[]> {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  let skipping = false // the rest of a line that was cut is being thrown away
  for await (const chunk of chunks) {
    state.bytes += chunk.length
    const text = decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length))
    const lines: string[] = []
    let from = 0
    for (;;) {
      const at = text.indexOf('\n', from)
      if (at < 0) break
      if (skipping) skipping = false
      else {
        let line = from === 0 ? rest + text.slice(0, at) : text.slice(from, at)
        if (line.length > LONGEST_LINE) {
          state.cut++
          line = line.slice(0, LONGEST_LINE)
        }
        lines.push(line.endsWith('\r') ? line.slice(0, -1) : line)
      }
      rest = ''
      from = at + 1
    }
    if (!skipping) rest = from === 0 ? rest + text : text.slice(from)
    if (rest.length > LONGEST_LINE) {
      lines.push(rest.slice(0, LONGEST_LINE))
      state.cut++
      rest = ''
      skipping = true
    }
    if (lines.length > 0) yield lines
  }
  state.open = rest !== ''
  if (rest !== '') yield [rest]
}
