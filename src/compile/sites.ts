// Places in the source: each call of an instruction or annotation has a number, and a table says file, line, column and
// function. Number 0 is code that was not compiled (a test's own generator).

/** One place. `file` is relative to the kernel's root; `line` and `column` count from 1. */
export interface Site {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly function: string
  readonly instruction: string
  /** A `cmpxchg` that does nothing but wait and try again where it fails (waiting-try.ts). */
  readonly waits?: true
}

/** What stands for place 0. */
export const UNKNOWN_SITE: Site = Object.freeze({ file: '', line: 0, column: 0, function: '(not compiled)', instruction: '' })

/** `function file:line`, as positions are printed everywhere. */
export function formatSite(site: Site): string {
  return site.file === '' ? site.function : `${site.function} ${site.file}:${site.line}`
}

/** The table as it is stored: names once, five numbers per place, a sixth (1) where it waits. */
export interface PackedSites {
  readonly names: readonly string[]
  readonly sites: readonly (readonly [file: number, line: number, column: number, fn: number, instruction: number, waits?: 1])[]
}

/** Packs a table for storage. */
export function packSites(sites: readonly Site[]): PackedSites {
  const names: string[] = []
  const numbers = new Map<string, number>()
  const number = (name: string): number => {
    let at = numbers.get(name)
    if (at === undefined) {
      at = names.push(name) - 1
      numbers.set(name, at)
    }
    return at
  }
  const pack = (s: Site): PackedSites['sites'][number] => {
    const five = [number(s.file), s.line, s.column, number(s.function), number(s.instruction)] as const
    return s.waits === true ? [...five, 1] : five
  }
  return { sites: sites.map(pack), names }
}

/** Undoes `packSites`. */
export function unpackSites({ names, sites }: PackedSites): Site[] {
  return sites.map(([file, line, column, fn, instruction, waits]) => ({
    file: names[file] as string,
    line,
    column,
    function: names[fn] as string,
    instruction: names[instruction] as string,
    ...(waits === 1 ? { waits: true } : {}),
  }))
}
