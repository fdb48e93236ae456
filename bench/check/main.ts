// `npm run bench:check [NAME…]`: explores each scenario exhaustively and prints executions, executions/s and seconds, beside
// what GenMC and Nidhugg took. A count that is not the known one fails.
import { explore } from '../../src/check/explore/explore.ts'
import { litmus } from '../../src/check/explore/litmus.ts'
import { faultBesideMunmap, shippedTree } from './kernel-scenarios.ts'
import { BENCHMARKS } from './programs.ts'

const HEADINGS = ['scenario', 'executions', 'redundant', 'waiting', 'steps', 's', 'exec/s', 'replayed', 'GenMC s', 'Nidhugg s', '']
const WIDTHS = [34, 11, 9, 8, 6, 7, 9, 8, 8, 9, 0]

/** Budget of each scenario of the kernel. */
const SECONDS = 60

/** Runs the scenarios whose names contain one of `args`, or all. Returns the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const wanted = (name: string): boolean => args.length === 0 || args.some((part) => name.includes(part))
  let wrong = 0
  print(HEADINGS)
  for (const [arch, design] of [
    ['x86_64', 'vma-lock'],
    ['x86_64', 'mmap-lock'],
    ['powerpc64-hash-64k', 'vma-lock'],
    ['powerpc64-hash-64k', 'mmap-lock'],
  ] as const) {
    const name = `fault ∥ munmap ${design} ${arch.slice(0, 9)}`
    if (!wanted(name)) continue
    const report = explore(await faultBesideMunmap(await shippedTree(), arch, design, 3), { milliseconds: SECONDS * 1000 })
    row(name, report, undefined, undefined, report.verdict === 'proved' ? report.verdict : `${report.verdict}: ${report.message}`)
    if (report.verdict === 'violation') wrong++
  }
  for (const { name, program, traces, stuck = 0, genmc, nidhugg } of BENCHMARKS) {
    if (!wanted(name)) continue
    const report = explore(litmus(program))
    const complete = report.executions - report.stuck
    const bug = traces === undefined
    const good = report.redundant === 0 && (bug ? report.verdict === 'violation' : complete === traces && report.stuck === stuck)
    if (!good) wrong++
    row(name, report, genmc, nidhugg, bug ? `found: ${report.message}` : good ? report.verdict : `WRONG: expected ${traces}`)
  }
  return wrong === 0 ? 0 : 1
}

function row(name: string, report: ReturnType<typeof explore>, genmc: number | undefined, nidhugg: number | undefined, note: string): void {
  const seconds = report.milliseconds / 1000
  print([
    name,
    report.executions.toLocaleString('en'),
    String(report.redundant),
    report.stuck.toLocaleString('en'),
    String(report.maxDepth),
    seconds.toFixed(2),
    Math.round(report.executions / seconds).toLocaleString('en'),
    `${Math.round((report.replayed / report.steps) * 100)}%`,
    genmc === undefined ? '' : String(genmc),
    nidhugg === undefined ? '' : String(nidhugg),
    note,
  ])
}

function print(cells: readonly string[]): void {
  console.log(
    cells.map((cell, i) => (i === 0 || i === cells.length - 1 ? cell.padEnd(WIDTHS[i] ?? 0) : cell.padStart(WIDTHS[i] ?? 0))).join('  '),
  )
}
