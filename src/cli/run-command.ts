// `gracewalk run FILE`: reads a recording, replays it in every combination that was asked for, verifies, reports.

import { machineShape } from '../machine/shape.ts'
import { runJson } from '../report/run-json.ts'
import { type Combination, runReport } from '../report/run-report.ts'
import { unusualChoices } from '../scenario/runner/axes.ts'
import type { Recording } from '../trace/events.ts'
import { openRecording, readRecording } from '../trace/read.ts'
import { describeReading } from '../trace/reading-report.ts'
import { buildProgram } from '../workload/program/build.ts'
import type { Program } from '../workload/program/program.ts'
import { describeProgram } from '../workload/program/summary.ts'
import { assumeTouches, type TouchPolicy } from '../workload/program/touches.ts'
import { type Asked, replay } from '../workload/replay/replay.ts'
import { verify } from '../workload/replay/verify.ts'
import { loadDesigns } from './design-option.ts'
import { type Progress, startProgress } from './progress.ts'
import type { RunOptions } from './run-options.ts'
import { coloursFor, say } from './terminal.ts'
import { Exit, UsageError } from './usage-error.ts'

/** What is touched when a recording has no faults. */
const USUAL_TOUCHES: TouchPolicy = 'sample:16'
/** Milliseconds that CPUs get to stop by themselves after Ctrl-C. */
const STOPPING = 3000

/** Runs the command. Returns the exit code. */
export async function runCommand(file: string, options: RunOptions, version: string): Promise<number> {
  // What does not fit is said before anything long is begun.
  const { cpus, memory, diskLatency } = options
  for (const arch of options.archs) machineShape({ arch, cpus, diskLatency, ...(memory === undefined ? {} : { memory }) })
  await loadDesigns(options.designs)
  const interrupted = new AbortController()
  const interrupt = (): void => {
    if (interrupted.signal.aborted) process.exit(Exit.interrupted)
    interrupted.abort()
    setTimeout(() => process.exit(Exit.interrupted), STOPPING).unref()
  }
  process.on('SIGINT', interrupt)
  const progress = startProgress(options.json && !process.stderr.isTTY)
  try {
    const recording = file === '-' ? await readRecording(process.stdin, 'standard input') : await openRecording(file)
    const recorded = await readProgram(recording, progress)
    const { program, touch } = withTouches(recorded, options.touch)
    progress.stop()
    if (!options.json) say([...describeReading(recording.report), ...describeProgram(program), touchLine(program, touch), ''])
    const combinations = await runAll(program, options, progress, interrupted.signal)
    progress.stop()
    const assumed = program.report.assumedTouches > 0
    if (options.json) {
      say([JSON.stringify(runJson(version, recording.report, program, touch, combinations, interrupted.signal.aborted), null, 2)])
    } else say(runReport(combinations, assumed, coloursFor(process.stdout)))
    return conclude(combinations, options, interrupted.signal)
  } finally {
    progress.stop()
    process.off('SIGINT', interrupt)
  }
}

async function readProgram(recording: Recording, progress: Progress): Promise<Program> {
  const show = (): void => progress.at(`reading ${recording.report.name}, lines`, recording.report.lines, 0)
  const timer = setInterval(show, 500)
  try {
    return await buildProgram(recording)
  } finally {
    clearInterval(timer)
  }
}

function withTouches(program: Program, wanted: TouchPolicy | undefined): { program: Program; touch: TouchPolicy } {
  const recorded = program.operations.some(({ kind }) => kind === 'touch')
  const touch = wanted ?? (recorded ? 'none' : USUAL_TOUCHES)
  return { program: touch === 'none' ? program : assumeTouches(program, touch), touch }
}

function touchLine(program: Program, touch: TouchPolicy): string {
  if (touch === 'none') return 'touches: the recorded faults'
  return `touches: --touch ${touch}, assumed: ${program.report.assumedTouches} writes to memory that became writable`
}

async function runAll(program: Program, options: RunOptions, progress: Progress, signal: AbortSignal): Promise<Combination[]> {
  const out: Combination[] = []
  for (const arch of options.archs) {
    for (const { design, ...further } of choices(options)) {
      if (signal.aborted) return out
      const what = [`${design} on ${arch}`, ...unusualChoices(further)].join(', ')
      const result = await replay(program, {
        design,
        arch,
        ...further,
        cpus: options.cpus,
        pageMap: options.pageMap,
        diskLatency: options.diskLatency,
        ...(options.memory === undefined ? {} : { memory: options.memory }),
        signal,
        progress: (done, total) => progress.at(what, done, total),
      })
      if ('skipped' in result) {
        out.push({ skipped: result })
        continue
      }
      const { log, ...measured } = result
      const show = (done: number, total: number): void => progress.at(`${what}, verifying`, done, total)
      const verdict = options.verify && !signal.aborted ? await verify(log, { progress: show }) : undefined
      out.push({ measured: { ...measured, lost: log.translation.lost, moved: log.translation.map.moved }, verdict })
    }
  }
  return out
}

/** What is compared on one architecture. */
function choices(options: RunOptions): Required<Omit<Asked, 'arch'>>[] {
  const { designs, freeing: policies, indexes, rcus, tables: allocations } = options
  return designs.flatMap((design) =>
    policies.flatMap((freeing) =>
      indexes.flatMap((index) => rcus.flatMap((rcu) => allocations.map((tables) => ({ design, freeing, index, rcu, tables })))),
    ),
  )
}

/** The last line, and the exit code. */
function conclude(combinations: readonly Combination[], options: RunOptions, signal: AbortSignal): number {
  const ran = combinations.filter(({ measured }) => measured)
  const wrong = combinations.filter(({ verdict }) => verdict && !verdict.verified)
  const colours = coloursFor(process.stdout)
  const print = (line: string): void => (options.json ? undefined : say(['', line]))
  if (wrong.length > 0) print(colours.red(`${wrong.length} of ${ran.length} combinations failed the verification`))
  if (signal.aborted) {
    process.stderr.write('interrupted: the results are partial\n')
    return Exit.interrupted
  }
  if (wrong.length > 0) return Exit.failed
  if (ran.length === 0) throw new UsageError(`nothing was run: ${combinations[0]?.skipped?.skipped ?? 'no combination was asked for'}`)
  const verified = combinations.filter(({ verdict }) => verdict?.verified).length
  if (options.verify)
    print(colours.green(`${verified === 1 ? 'the combination that ran is' : `all ${verified} combinations that ran are`} verified`))
  return Exit.success
}
