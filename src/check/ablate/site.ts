// What ablation changes: a site is one place of the kernel that synchronises, with the edits that take its effect away.
// Sites are plain data, so that they can be listed, sent to a Worker and named on a command line.
import MagicString from 'magic-string'

/** What is done to a site; see the module that makes each kind. */
export type Operator =
  | 'lock'
  | 'rcu'
  | 'irq'
  | 'recheck'
  | 'flush'
  | 'ipi'
  | 'wait'
  | 'wake'
  | 'exclusion'
  | 'publish'
  | 'atomicity'
  | 'ordering'

/** Whether a variant can be checked: as it stands; not under SC, where it cannot matter; not at all, for `reason`. */
export type SiteStatus = 'ablatable' | 'undecided under SC' | 'unpaired'

/** Replaces the text from `start` to `end` (offsets in the original file) by `text`. */
export interface Edit {
  readonly file: string
  readonly start: number
  readonly end: number
  readonly text: string
}

/** One way of changing a site. `name` is '' where there is only one. */
export interface Variant {
  readonly name: string
  readonly edits: readonly Edit[]
}

/** One place that synchronises. `file` is relative to the kernel's root; `line` and `column` count from 1. */
export interface AblationSite {
  /** `file:line:operator`; further ones of a line have `.2`, `.3` behind it. */
  readonly id: string
  readonly file: string
  readonly line: number
  readonly column: number
  readonly function: string
  readonly operator: Operator
  /** The source of the expression. */
  readonly text: string
  /** What the change is. */
  readonly explanation: string
  readonly status: SiteStatus
  /** Why it is not `ablatable`, else ''. */
  readonly reason: string
  /**
   * Ways of changing it. Two where the source does not tell which outcome of a check means that nothing changed: the site is
   * load-bearing if either is noticed. Empty when `unpaired`.
   */
  readonly variants: readonly Variant[]
}

/** The files that variant `variant` of `site` changes, and those that `more` inserts into: path → new text. Lines keep their numbers. */
export function ablate(
  files: Readonly<Record<string, string>>,
  site: AblationSite,
  variant = 0,
  more: readonly Edit[] = [],
): Record<string, string> {
  const chosen = site.variants[variant]
  if (chosen === undefined) throw new RangeError(`${site.id} has no variant ${variant}${site.reason === '' ? '' : `: ${site.reason}`}`)
  return edited(files, [...chosen.edits, ...more])
}

/** The files that `edits` change: path → new text. What is inserted at one place stands in the order of the edits. */
export function edited(files: Readonly<Record<string, string>>, edits: readonly Edit[]): Record<string, string> {
  const texts = new Map<string, MagicString>()
  const imports = new Set<string>()
  const textOf = (file: string): MagicString => {
    const known = texts.get(file)
    if (known !== undefined) return known
    const source = files[file]
    if (source === undefined) throw new RangeError(`${file} is to be changed, but is not among the files`)
    const text = new MagicString(source)
    texts.set(file, text)
    return text
  }
  // What replaces text would take with it what was inserted at its end.
  for (const { file, start, end, text } of edits) if (start !== end) textOf(file).overwrite(start, end, text)
  for (const { file, start, end, text } of edits) {
    if (start !== end) continue
    // Two changes of one file may need the same import.
    if (text.startsWith('import ')) {
      const key = `${file} ${text}`
      if (imports.has(key)) continue
      imports.add(key)
    }
    textOf(file).appendLeft(start, text)
  }
  return Object.fromEntries([...texts].map(([file, text]) => [file, text.toString()]))
}

/** A site before it has its number among those of its line. */
export type UnnamedSite = Omit<AblationSite, 'id'>

/** Sorts sites by place and gives each its id. */
export function nameSites(sites: readonly UnnamedSite[]): AblationSite[] {
  const sorted = [...sites].sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line || a.column - b.column))
  const used = new Map<string, number>()
  return sorted.map((site) => {
    const base = `${site.file}:${site.line}:${site.operator}`
    const count = (used.get(base) ?? 0) + 1
    used.set(base, count)
    return { id: count === 1 ? base : `${base}.${count}`, ...site }
  })
}
