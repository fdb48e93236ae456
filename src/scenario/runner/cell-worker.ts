// A Worker of the pool: answers one question after the other.
import { parentPort, workerData } from 'node:worker_threads'
import type { Progress } from '../../check/explore/index.ts'
import { checkCell } from './check.ts'
import { type BlockCounter, openBlockCounter } from './coverage.ts'
import { type Answer, cellNamed, type Findings, type Question, type Trial, type TrialsQuestion } from './question.ts'
import { useScratch } from './scratch.ts'
import { treeWith, treeWithDesign } from './variant.ts'

const EVERY = 500

useScratch(workerData as string)

let blockCounter: Promise<BlockCounter> | undefined

parentPort?.on('message', async (question: Question) => {
  try {
    say({ kind: 'result', result: await answer(question) })
  } catch (error) {
    const { name, message, stack } = error instanceof Error ? error : new Error(String(error))
    say({ kind: 'failed', name, message, stack: stack ?? '' })
  }
})

function say(what: Answer): void {
  parentPort?.postMessage(what)
}

async function answer(question: Question): Promise<Findings[keyof Findings]> {
  if (question.kind === 'check') return checkCell(await cellNamed(question.cell), { ...question.options, onProgress: sayNowAndThen() })
  if (question.kind === 'trials') return trials(question)
  blockCounter ??= openBlockCounter()
  return (await blockCounter).count(await cellNamed(question.cell), question.places)
}

/** Tries a changed kernel on one cell after the other, until one notices. Throws `SourceRefused`. */
async function trials({ files, design, cells, milliseconds, stop }: TrialsQuestion): Promise<Trial[]> {
  const end = performance.now() + milliseconds
  const tree = await (design === undefined ? treeWith(files, true) : treeWithDesign(design, files))
  const onProgress = sayNowAndThen()
  const found: Trial[] = []
  for (const { cell: name, options } of cells) {
    const started = performance.now()
    if (started > end || Atomics.load(stop, 0) !== 0) break
    say({ kind: 'next' })
    const cell = await cellNamed(name)
    const trial = await checkCell(cell, { ...options, tree, onProgress }).then(
      ({ report: { verdict, message, path, preemptions } }) => ({ verdict, message, path, preemptions }),
      (error: unknown) => ({
        verdict: 'violation' as const,
        message: `the set-up fails: ${firstLine(error)}`,
        path: [],
        preemptions: null,
      }),
    )
    found.push({ ...trial, milliseconds: performance.now() - started })
    if (trial.verdict === 'violation') {
      Atomics.store(stop, 0, 1)
      break
    }
  }
  return found
}

/** Passes progress on, not oftener than twice a second. */
function sayNowAndThen(): (progress: Progress) => void {
  let next = performance.now() + EVERY
  return (progress) => {
    if (performance.now() < next) return
    next = performance.now() + EVERY
    say({ kind: 'progress', progress })
  }
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] as string
}
