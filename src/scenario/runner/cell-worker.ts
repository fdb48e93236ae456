// A Worker of the pool: answers one question after the other.
import { parentPort, workerData } from 'node:worker_threads'
import type { Progress } from '../../check/explore/index.ts'
import { openTree, type Tree } from '../../check/index.ts'
import type { Cell } from './cells.ts'
import { checkCell, exploreRehearsal } from './check.ts'
import { clearMarks, coverage, readMarks } from './coverage.ts'
import {
  type Answer,
  type CoverageQuestion,
  cellNamed,
  type Findings,
  type Question,
  type SentOptions,
  type Trial,
  type TrialsQuestion,
} from './question.ts'
import { rehearse } from './rehearse.ts'
import { useScratch } from './scratch.ts'
import { builtWith, treeWithDesign } from './variant.ts'

const EVERY = 500

useScratch(workerData as string)

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
  return coverage(await cellNamed(question.cell), await marked(question))
}

function marked({ kernel }: CoverageQuestion): Promise<Tree> {
  return 'directory' in kernel ? openTree(kernel.directory) : treeWithDesign(kernel.design, kernel.files)
}

/** Tries a changed kernel on one cell after the other, until one notices. Throws `SourceRefused`. */
async function trials({ files, design, cells, deadline, stop }: TrialsQuestion): Promise<Trial[]> {
  const tree = await (design === undefined ? openTree(builtWith(files, true)) : treeWithDesign(design, files))
  const onProgress = sayNowAndThen()
  const found: Trial[] = []
  for (const { cell: name, options } of cells) {
    const started = performance.now()
    const left = deadline - Date.now()
    if (left <= 0 || Atomics.load(stop, 0) !== 0) break
    say({ kind: 'next' })
    const trial = await tryOn(await cellNamed(name), tree, {
      ...options,
      milliseconds: Math.min(options.milliseconds ?? left, left),
      onProgress,
    })
    found.push({ ...trial, milliseconds: performance.now() - started })
    if (trial.verdict === 'violation') {
      Atomics.store(stop, 0, 1)
      break
    }
  }
  return found
}

/** Checks `cell` with the changed kernel `tree`. */
async function tryOn(
  cell: Cell,
  tree: Tree,
  options: SentOptions & { onProgress: (progress: Progress) => void },
): Promise<Omit<Trial, 'milliseconds'>> {
  try {
    const rehearsal = await rehearse(cell, { ...options, tree })
    clearMarks(tree)
    const { verdict, message, path, preemptions } = exploreRehearsal(rehearsal, options)
    return { verdict, message, path, preemptions, executed: readMarks(tree).length > 0 }
  } catch (error) {
    return { verdict: 'violation', message: `the set-up fails: ${firstLine(error)}`, path: [], preemptions: null, executed: true }
  }
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
