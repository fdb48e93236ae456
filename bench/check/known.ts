// The litmus programs with known numbers of traces, beside what GenMC and Nidhugg took; and one that needs merged states.
import { type Dist, explorer } from './built.ts'
import { rate, seconds, table, whole } from './printed.ts'
import { BENCHMARKS, lockedCounter } from './programs.ts'

/** At least so many times faster than the faster of the others, and executions in a second of the small ones. */
const TIMES = 3
const RATE = 30_000
/** Seconds for four threads that take a lock four times each: 63,063,000 traces. */
const MERGED_TARGET = 60

/** Prints all of them. Returns how many counts are wrong: a speed that misses its target is shown and no error. */
export async function measureKnown(dist: Dist, wanted: (name: string) => boolean, markdown: boolean): Promise<number> {
  const chosen = BENCHMARKS.filter(({ name }) => wanted(name))
  if (chosen.length === 0) return 0
  const { explore, litmus } = await explorer(dist)
  const headings = ['program', 'executions', 'redundant', 'waiting', 'steps', 's', 'executions/s', 'GenMC s', 'Nidhugg s', 'times', '']
  const print = table(
    `Litmus programs: every trace once (targets: ${TIMES} times faster than the others, ${whole(RATE)} executions/s)`,
    headings,
    [27, 11, 9, 8, 6, 7, 13, 8, 9, 6, 0],
    markdown,
  )
  let wrong = 0
  for (const { name, program, traces, stuck = 0, genmc, nidhugg } of chosen) {
    const report = explore(litmus(program))
    const bug = traces === undefined
    const good =
      report.redundant === 0 &&
      (bug ? report.verdict === 'violation' : report.executions - report.stuck === traces && report.stuck === stuck)
    if (!good) wrong++
    const others = Math.min(genmc ?? Number.POSITIVE_INFINITY, nidhugg ?? Number.POSITIVE_INFINITY)
    const times = (others * 1000) / report.milliseconds
    const slow = [
      ...(times < TIMES ? [`not ${TIMES} times`] : []),
      // What is over in a few milliseconds has not been compiled yet.
      ...(report.milliseconds > 50 && (report.executions * 1000) / report.milliseconds < RATE ? [`below ${whole(RATE)}/s`] : []),
    ]
    const said = bug ? `found: ${report.message}` : good ? report.verdict : `WRONG: expected ${traces}`
    print.row([
      name,
      whole(report.executions),
      whole(report.redundant),
      whole(report.stuck),
      whole(report.maxDepth),
      seconds(report.milliseconds),
      rate(report),
      genmc === undefined ? '' : String(genmc),
      nidhugg === undefined ? '' : String(nidhugg),
      Number.isFinite(times) ? `${times.toFixed(1)}x` : '',
      [said, ...slow].join('; '),
    ])
  }
  console.log('')
  return wrong
}

/** Prints the lock that is out of reach trace by trace. Returns how many are wrong. */
export async function measureMerged(dist: Dist, wanted: (name: string) => boolean, markdown: boolean): Promise<number> {
  const name = 'locked counter 4×4'
  if (!wanted(name)) return 0
  const { explore, litmus } = await explorer(dist)
  const print = table(
    'Equal states merged',
    ['program', 'traces', 'states', 'executions', 's', `verdict (target: ${MERGED_TARGET} s)`],
    [27, 11, 10, 11, 7, 0],
    markdown,
  )
  const report = explore(litmus(lockedCounter(4, 4)), { mode: 'states' })
  const late = report.milliseconds > MERGED_TARGET * 1000 ? ', too slow' : ''
  print.row([name, '63,063,000', whole(report.states), whole(report.executions), seconds(report.milliseconds), `${report.verdict}${late}`])
  console.log('')
  return report.verdict === 'proved' ? 0 : 1
}
