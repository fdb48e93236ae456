// `npm run bench -- --page-tables RECORDING`: the memory of page tables that one recording needs on every architecture, beside the
// memory of the pages that they map. One CPU and one run: what is counted does not depend on speed.
import { geometryOf } from '../src/kernel/arch/arch.ts'
import { archByName } from '../src/machine/shape.ts'
import { openRecording } from '../src/trace/read.ts'
import { buildProgram } from '../src/workload/program/build.ts'
import type { Program } from '../src/workload/program/program.ts'
import { assumeTouches } from '../src/workload/program/touches.ts'
import type { PageMap } from '../src/workload/replay/addresses.ts'
import { replay } from '../src/workload/replay/replay.ts'
import { columns } from './report.ts'

/** What a recording needs on one architecture; the peaks of address spaces that are alive together. */
export interface PageTables {
  readonly arch: string
  readonly pageBytes: number
  readonly levels: number
  /** Tables of the lowest level in one page, and bytes of such a table. */
  readonly fragments: number
  readonly pteTableBytes: number
  /** How recorded pages became the machine's: `round` keeps addresses in bytes, `scale` makes one page of one page. */
  readonly pageMap: PageMap
  readonly tableBytes: number
  readonly residentPages: number
}

interface Skipped {
  readonly arch: string
  readonly skipped: string
}

async function measure(program: Program, design: string, arch: string): Promise<PageTables | Skipped> {
  const facts = archByName(arch)
  const { pageShift, levelBits, pteTableWords } = geometryOf(facts, 0)
  // Where user space is too small for the recorded addresses, its parts are moved together.
  let why = ''
  for (const pageMap of ['round', 'scale'] as const) {
    const result = await replay(program, { design, arch, cpus: 1, pageMap, warmUps: 0, runs: 1 })
    if ('skipped' in result) {
      why = result.skipped
      continue
    }
    const shape = { pageBytes: 2 ** pageShift, levels: levelBits.length, fragments: facts.pteFragments, pteTableBytes: pteTableWords * 4 }
    return { arch, ...shape, pageMap, tableBytes: result.tableBytes, residentPages: result.residentPages }
  }
  return { arch, skipped: why }
}

function row(one: PageTables | Skipped): string[] {
  if ('skipped' in one) return [one.arch, '-', '-', '-', '-', '-', '-', '-', `skipped: ${one.skipped}`]
  const data = one.residentPages * one.pageBytes
  const kib = (bytes: number): string => (bytes / 1024).toFixed(bytes < 10_240 ? 2 : 0)
  const tables = `${one.fragments} x ${one.pteTableBytes}`
  return [
    one.arch,
    kib(one.pageBytes).replace(/\.00$/, ''),
    String(one.levels),
    tables,
    kib(one.tableBytes),
    String(one.residentPages),
    kib(data),
    `${((100 * one.tableBytes) / data).toFixed(2)}%`,
    one.pageMap,
  ]
}

const HEAD = [
  'arch',
  'page KiB',
  'levels',
  'PTE tables in a page',
  'tables KiB',
  'resident pages',
  'data KiB',
  'tables / data',
  'addresses',
]
const NOTES = [
  'tables: all levels, at the peak; a fragment counts its own bytes, though the page in which it lies stays until its last one goes',
  'addresses: round: as recorded, pages rounded outwards; scale: moved together, one recorded page is one page',
]

/** Replays the recording at `path` on each of `archs` and prints what its page tables need. Returns the exit code. */
export async function pageTables(path: string, design: string, archs: readonly string[], json: boolean): Promise<number> {
  const recorded = await buildProgram(await openRecording(path))
  const touched = recorded.operations.some(({ kind }) => kind === 'touch')
  const program = touched ? recorded : assumeTouches(recorded, 'first')
  const results: (PageTables | Skipped)[] = []
  for (const arch of archs) results.push(await measure(program, design, arch))
  const notes = touched ? NOTES : [...NOTES, 'touches: the first page of each mapping, assumed, because the recording has no faults']
  if (json) console.log(JSON.stringify({ recording: path, design, notes, results }, undefined, 2))
  else console.log(`${columns(HEAD, results.map(row), 1)}\n\n${notes.map((note) => `note: ${note}`).join('\n')}`)
  return results.some((one) => !('skipped' in one)) ? 0 : 1
}
