// Aligned tables without borders, and colour that is only there when asked for.
import Table from 'cli-table3'
import { createColors } from 'picocolors'

/** Colours, or their absence. */
export type Palette = ReturnType<typeof createColors>

/** A palette; without `colour` every function returns its text. */
export function palette(colour: boolean): Palette {
  return createColors(colour)
}

const NO_BORDERS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
}

/** Lines of a table: the first column to the left, numbers to the right. A cell may have several lines. */
export function table(header: readonly string[], rows: readonly (readonly string[])[], colours: Palette): string[] {
  const out = new Table({
    chars: NO_BORDERS,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
    colAligns: header.map((_, column) => (column === 0 ? 'left' : 'right')),
    head: header.map((text) =>
      text
        .split('\n')
        .map((line) => colours.bold(line))
        .join('\n'),
    ),
  })
  for (const row of rows) out.push([...row])
  return out
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
}
