// A Worker of the pool: checks one cell after the other.
import { parentPort, workerData } from 'node:worker_threads'
import { checkCell } from './check.ts'
import { type Answer, cellNamed, type Question } from './pool.ts'
import { useScratch } from './scratch.ts'
import { treeWith } from './variant.ts'

const EVERY = 500

useScratch(workerData as string)

parentPort?.on('message', async ({ id, cell: name, options, change }: Question) => {
  const answer = (what: Answer): void => parentPort?.postMessage(what)
  try {
    const cell = await cellNamed(name)
    let next = performance.now() + EVERY
    const result = await checkCell(cell, {
      ...options,
      tree: change === null ? undefined : await treeWith(change.files, true),
      onProgress: (progress) => {
        if (performance.now() < next) return
        next = performance.now() + EVERY
        answer({ kind: 'progress', id, progress })
      },
    })
    answer({ kind: 'result', id, result })
  } catch (error) {
    const { name, message, stack } = error instanceof Error ? error : new Error(String(error))
    answer({ kind: 'failed', id, name, message, stack: stack ?? '' })
  }
})
