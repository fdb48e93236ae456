// The order in which scenarios are asked about a changed place: first those that have noticed most near it, and those of which a
// broken variant changes the same lines. Only the time to the first that notices depends on it, no verdict does.
import type { AblationSite } from '../../check/ablate/index.ts'
import type { Scenario } from '../scenario.ts'
import { unusualValues } from './axes.ts'
import type { Cell } from './cells.ts'

/** Remembers which scenarios noticed what. */
export interface KillRecord {
  noticed(site: AblationSite, scenario: string): void
  count(site: AblationSite, scenario: string): number
}

/** A record in which nothing stands yet. */
export function openKillRecord(): KillRecord {
  const counts = new Map<string, number>()
  const keys = ({ file, function: name, operator }: AblationSite, scenario: string): string[] => [
    `${file}#${name} ${scenario}`,
    `${file} ${scenario}`,
    `${file} ${operator} ${scenario}`,
  ]
  return {
    noticed: (site, scenario) => {
      for (const key of keys(site, scenario)) counts.set(key, (counts.get(key) ?? 0) + 1)
    },
    count: (site, scenario) => {
      const [same, file, operator] = keys(site, scenario).map((key) => Math.min(counts.get(key) ?? 0, 5)) as [number, number, number]
      return 4 * same + file + operator
    },
  }
}

/** Lines around a changed one in which a variant is taken to be about the same. */
const NEAR = 6

const ABOUT = 40

/** Whether a broken variant of `scenario` changes the lines around `site`: then the scenario executes it, be it rarely. */
export function isAbout(scenario: Scenario, site: AblationSite, files: Readonly<Record<string, string>>): boolean {
  return relation(scenario, site, files) === ABOUT
}

/** How close the broken variants of `scenario` are to `site`: 0 for none in its file. */
function relation({ variants = [] }: Scenario, site: AblationSite, files: Readonly<Record<string, string>>): number {
  let most = 0
  for (const { file, from } of variants.flatMap(({ edits }) => edits)) {
    if (file !== site.file) continue
    const before = (files[file] ?? '').split(from)[0] as string
    const first = before.split('\n').length
    const last = first + from.split('\n').length - 1
    most = Math.max(most, site.line >= first - NEAR && site.line <= last + NEAR ? ABOUT : 10)
  }
  return most
}

/** What makes a combination less usual. */
function unusual({ combination }: Cell): number {
  const { design, arch, freeing } = combination
  const further = unusualValues(combination).length
  return (design === 'vma-lock' ? 0 : 1) + (arch === 'x86_64' ? 0 : 2) + (freeing === 'rcu-batch' ? 0 : 4) + 8 * further
}

/** `cells` in the order in which they are best asked about `site`. `cost` in milliseconds decides among equals. */
export function inOrder<T extends { readonly cell: Cell; readonly milliseconds: number }>(
  site: AblationSite,
  cells: readonly T[],
  files: Readonly<Record<string, string>>,
  record: KillRecord,
): T[] {
  const turns = new Map<string, number>()
  return [...cells]
    .sort((a, b) => unusual(a.cell) - unusual(b.cell))
    .map((one) => {
      const { scenario } = one.cell
      // Each scenario's further combinations come after the first ones of all others, unless it is close.
      const turn = turns.get(scenario.name) ?? 0
      turns.set(scenario.name, turn + 1)
      return { one, score: relation(scenario, site, files) + record.count(site, scenario.name) - 8 * turn }
    })
    .sort((a, b) => b.score - a.score || a.one.milliseconds - b.one.milliseconds)
    .map(({ one }) => one)
}
