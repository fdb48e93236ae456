// The matrix over all that can be selected: a few questions, each asked of every combination that it is about, laid out as the
// tables of docs/matrix.md. What the combinations are follows from the kernel's lists; only the questions are named here.
import { architectures } from '../../kernel/arch/architectures.ts'
import { designs } from '../../kernel/design/designs.ts'
import { isDesignFile } from '../../machine/own-design.ts'
import type { Scenario } from '../scenario.ts'
import { AXES, type Combination, isDistinct, isUsual, shortCombination, USUAL, USUAL_DESIGNS } from './axes.ts'
import type { Cell } from './cells.ts'
import { cellOf } from './check.ts'
import { ScenarioError } from './errors.ts'

/** One table: what its rows and columns are called, and what is asked where they meet; null where the question makes no sense. */
export interface MatrixTable {
  readonly title: string
  /** The architecture of a table that is one of several alike: they are shown together, and the title ends with their names. */
  readonly arch?: string
  readonly says: string
  /** What the rows are. */
  readonly of: string
  readonly columns: readonly string[]
  readonly rows: readonly MatrixRow[]
  /**
   * Where rows are policies of freeing, who walks page tables on CPU 0 in the cells of each column while the others unmap; null where
   * nobody does.
   */
  readonly walkers?: readonly (string | null)[]
}

/** One row. */
export interface MatrixRow {
  readonly name: string
  readonly cells: readonly (Cell | null)[]
}

/** Values of the first three axes that are wanted; all of an axis where it is left out. */
export interface MatrixWanted {
  readonly designs?: readonly string[] | undefined
  readonly archs?: readonly string[] | undefined
  readonly freeing?: readonly string[] | undefined
}

/** The question by which a design is judged on every architecture: a fault beside the munmap of its page. */
const FAULT = 'fault-vs-munmap'

/** Where designs are asked what does not depend on the architecture. */
const HOME = 'x86_64'

/** The same beside a munmap that frees the tables on the fault's way: for whom they must wait depends on what the fault holds. */
const FAULT_BELOW_TABLES_THAT_GO = 'fault-vs-munmap-of-the-last-pages'

/** What else is asked of every design, on one architecture. */
const FAULTS = [
  FAULT,
  'fault-vs-munmap-of-neighbour',
  'fault-vs-mprotect',
  'fault-vs-fork',
  'copy-on-write-both-sides',
  'mmap-over-vs-fault',
  'dontneed-vs-fault',
]

/** The one question of those below in which nobody walks. */
const TOGETHER = 'two tables at once'

/**
 * Walks without mmap_lock, or with it, beside a munmap that frees tables; and tables that are freed together. Of several scenarios the
 * one that asks about the architecture.
 */
const WALKS: readonly (readonly [column: string, ...scenarios: string[]])[] = [
  ['smaps, mmap_lock', 'smaps-under-mmap-lock-vs-munmap'],
  ['smaps, interrupts off', 'smaps-irq-off-vs-munmap'],
  ['smaps, RCU', 'smaps-under-rcu-vs-munmap'],
  [TOGETHER, 'two-deferred-fragments', 'two-deferred-fragments-of-256'],
]

/** The tables of `scenarios`, as far as combinations are wanted. */
export function matrixTables(scenarios: readonly Scenario[], wanted: MatrixWanted = {}): readonly MatrixTable[] {
  const named = (name: string): Scenario => {
    const found = scenarios.find((one) => one.name === name)
    if (found === undefined) throw new ScenarioError(`the matrix asks scenario ${name}, which is not here`)
    return found
  }
  const has = (list: readonly string[] | undefined, name: string): boolean => list === undefined || list.includes(name)
  const archs = architectures.map(({ name }) => name).filter((name) => has(wanted.archs, name))
  const chosen = [...AXES.designs.filter((name) => has(wanted.designs, name)), ...(wanted.designs ?? []).filter(isDesignFile)]
  const policies = AXES.freeing.filter((name) => has(wanted.freeing, name))
  const home = archs[0] === undefined || archs.includes(HOME) ? HOME : archs[0]
  const tables = [
    onArchitectures(named(FAULT), chosen, archs),
    onScenarios(FAULTS.map(named), chosen, home),
    designsAndFreeing(named(FAULT_BELOW_TABLES_THAT_GO), chosen, policies, home),
    ...archs.map((arch) =>
      freeingOn(
        arch,
        WALKS.map(([column, ...names]) => [column, names.map(named)] as const),
        policies,
      ),
    ),
    ...furtherAxes(scenarios, chosen, archs),
  ]
  return tables.filter(({ rows }) => rows.some(({ cells }) => cells.some((cell) => cell !== null)))
}

/** The cell of `scenario` on `combination`, null where it names others. Nothing is expected of what is there to be shown wrong. */
function cellFor(scenario: Scenario, combination: Combination): Cell | null {
  const { design, arch } = combination
  if (scenario.designs?.includes(design) === false || scenario.archs?.includes(arch) === false) return null
  const cell = cellOf(scenario, combination)
  return isDraft(combination) ? { ...cell, expected: null } : cell
}

function isDraft({ design, arch }: Combination): boolean {
  return designs.find(({ name }) => name === design)?.draft === true || architectures.find(({ name }) => name === arch)?.draft === true
}

function onArchitectures(scenario: Scenario, chosen: readonly string[], archs: readonly string[]): MatrixTable {
  return {
    title: 'Designs on architectures',
    says: `${scenario.question} Page tables are freed by \`rcu-batch\`.`,
    of: 'design',
    columns: archs,
    rows: chosen.map((design) => ({
      name: design,
      cells: archs.map((arch) => cellFor(scenario, { design, arch, freeing: 'rcu-batch' })),
    })),
  }
}

function onScenarios(asked: readonly Scenario[], chosen: readonly string[], arch: string): MatrixTable {
  return {
    title: `Designs and questions, on ${arch}`,
    says: 'What else may run beside a fault. Page tables are freed by `rcu-batch`.',
    of: 'design',
    columns: asked.map(({ name }) => name),
    rows: chosen.map((design) => ({
      name: design,
      cells: asked.map((scenario) => cellFor(scenario, { design, arch, freeing: 'rcu-batch' })),
    })),
  }
}

/** Those that are not another's equal on `arch`. */
function distinct(policies: readonly string[], arch: string): readonly string[] {
  return policies.filter((freeing) => isDistinct(freeing, arch))
}

function designsAndFreeing(scenario: Scenario, chosen: readonly string[], policies: readonly string[], arch: string): MatrixTable {
  return {
    title: `Designs and freeing policies, on ${arch}`,
    says: scenario.question,
    of: 'freeing policy',
    columns: chosen,
    walkers: chosen.map((design) => `fault, ${design}`),
    rows: distinct(policies, arch).map((freeing) => ({
      name: freeing,
      cells: chosen.map((design) => cellFor(scenario, { design, arch, freeing })),
    })),
  }
}

function freeingOn(arch: string, walks: readonly (readonly [string, readonly Scenario[]])[], policies: readonly string[]): MatrixTable {
  return {
    title: `Freeing page tables on ${arch}`,
    arch,
    says: 'Who may walk page tables while a munmap frees them, by what the walker holds; and two tables that are freed at once.',
    of: 'freeing policy',
    columns: walks.map(([column]) => column),
    walkers: walks.map(([column]) => (column === TOGETHER ? null : column)),
    rows: distinct(policies, arch).map((freeing) => ({
      name: freeing,
      cells: walks.map(([, asked]) => {
        const cells = asked.map((scenario) => cellFor(scenario, { design: 'vma-lock', arch, freeing }))
        return cells.find((cell) => cell !== null) ?? null
      }),
    })),
  }
}

/** A table for each axis that has values besides the usual one: every scenario that names such a value. */
function furtherAxes(scenarios: readonly Scenario[], chosen: readonly string[], archs: readonly string[]): MatrixTable[] {
  const axes = [
    ['indexes', 'index', 'What finds a VMA'],
    ['rcus', 'rcu', 'The flavour of RCU'],
    ['tables', 'tables', 'Tables allocated at a time'],
  ] as const
  return axes.flatMap(([list, axis, title]) => {
    const values = AXES[list]
    const asked = scenarios.filter((one) => one[list]?.some((value) => value !== USUAL[axis]) === true)
    const columns = values.map((value) => value)
    const rows = asked.flatMap((scenario) =>
      (scenario.archs ?? ['x86_64']).flatMap((arch) =>
        (scenario.designs ?? USUAL_DESIGNS.filter((design) => isUsual(design, arch))).flatMap((design) => {
          if (!chosen.includes(design) || !archs.includes(arch)) return []
          const cells = values.map((value) =>
            scenario[list]?.includes(value) === true
              ? cellFor(scenario, shortCombination({ design, arch, freeing: scenario.freeing?.[0] ?? 'rcu-batch', [axis]: value }))
              : null,
          )
          return [{ name: `${scenario.name} (${design}, ${arch})`, cells }]
        }),
      ),
    )
    return [{ title, says: 'The scenarios that ask about it.', of: 'scenario', columns, rows }]
  })
}
