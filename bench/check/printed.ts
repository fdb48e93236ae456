// Tables: columns on a terminal, or Markdown for README.md.

/** Prints the rows of a table, one after the other. */
export interface Printed {
  row(cells: readonly string[]): void
}

const GAP = '  '

/** Begins a table. `widths` are those on a terminal; the first and the last column are to the left. */
export function table(title: string, headings: readonly string[], widths: readonly number[], markdown: boolean): Printed {
  const left = (column: number): boolean => column === 0 || column === headings.length - 1
  const pad = (text: string, column: number): string =>
    left(column) ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0)
  const row = (cells: readonly string[]): void => console.log(markdown ? `| ${cells.join(' | ')} |` : cells.map(pad).join(GAP).trimEnd())
  console.log(markdown ? `**${title}**\n` : `${title}\n`)
  row(headings)
  if (markdown) console.log(`|${headings.map((_, column) => (left(column) ? '---|' : '---:|')).join('')}`)
  return { row }
}

/** `12,345`. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString('en')
}

/** Seconds from milliseconds: `1.23`. */
export function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(2)
}

/** Executions in a second. */
export function rate({ executions, milliseconds }: { readonly executions: number; readonly milliseconds: number }): string {
  return whole((executions * 1000) / milliseconds)
}
