// Which places of the kernel a cell of the matrix executes: V8 counts the blocks of a stepped kernel while a few executions run,
// and source maps lead from a place in the source to its block. Ablation checks a changed place where it is executed.
import { readFileSync } from 'node:fs'
import { type InspectorNotification, type Profiler, Session } from 'node:inspector'
import { fileURLToPath } from 'node:url'
import { decode, type SourceMapSegment } from '@jridgewell/sourcemap-codec'
import type { AblationSite } from '../../check/ablate/index.ts'
import { explore } from '../../check/explore/index.ts'
import type { Tree } from '../../check/index.ts'
import type { Cell } from './cells.ts'
import { rehearse } from './rehearse.ts'
import { treeWith } from './variant.ts'

/** How a cell is run to learn what it executes: executions by chance, and how long a search takes that is then broken off. */
export const LESSONS = Object.freeze({ executions: 40, milliseconds: 250 })

/** What a place needs to be found in the built kernel. */
export type Place = Pick<AblationSite, 'id' | 'file' | 'line' | 'column'>

/** What a cell executes. */
export interface Covered {
  readonly ids: readonly string[]
  readonly milliseconds: number
  /** Whether that was a search to the end. */
  readonly small: boolean
}

/** Counts blocks of kernel code in this thread. */
export interface BlockCounter {
  count(cell: Cell, places: readonly Place[]): Promise<Covered>
}

type Post = <T>(method: string, params?: object) => T

/** Starts counting. Code runs slower from here on: for a thread of its own. */
export async function openBlockCounter(): Promise<BlockCounter> {
  const session = new Session()
  session.connect()
  const post = poster(session)
  post('Profiler.enable')
  post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  // Only what is compiled from here on has counters: a kernel that this thread has not loaded yet.
  const tree = await treeWith({})
  const offsets = new Map<string, ReadonlyMap<string, number>>()
  const offsetOf = ({ file, line, column }: Place): number => {
    let known = offsets.get(file)
    if (known === undefined) {
      known = builtOffsets(fileURLToPath(new URL(builtName(file), tree.built.url)))
      offsets.set(file, known)
    }
    return known.get(`${line}:${column}`) ?? -1
  }
  return {
    count: async (cell, places) => {
      post('Profiler.takePreciseCoverage')
      const started = performance.now()
      const { model } = await rehearse(cell, { tree })
      // Set-up is not what the scenario asks about.
      post('Profiler.takePreciseCoverage')
      explore(model, { mode: 'random', executions: LESSONS.executions, keepGoing: true })
      const { verdict } = explore(model, { mode: 'states', milliseconds: LESSONS.milliseconds })
      const milliseconds = performance.now() - started
      const blocks = blocksByFile(post<Profiler.TakePreciseCoverageReturnType>('Profiler.takePreciseCoverage'), tree)
      const ids = places.filter((place) => isExecuted(blocks.get(place.file) ?? [], offsetOf(place))).map(({ id }) => id)
      return { ids, milliseconds, small: verdict === 'proved' }
    },
  }
}

/** Calls of the inspector answer before `post` returns when it looks at its own thread. */
function poster(session: Session): Post {
  return <T>(method: string, params: object = {}): T => {
    let answer: T | undefined
    let failure: Error | null = null
    session.post(method, params, (error: Error | null, result?: object | InspectorNotification<object>) => {
      failure = error
      answer = result as T
    })
    if (failure !== null) throw failure
    return answer as T
  }
}

function builtName(file: string): string {
  return file.replace(/\.ts$/, '.js')
}

/** `line:column` of the source (from 1) → offset in the built file, for every place that its source map names. */
function builtOffsets(path: string): ReadonlyMap<string, number> {
  const { mappings } = JSON.parse(readFileSync(`${path}.map`, 'utf8')) as { readonly mappings: string }
  const offsets = new Map<string, number>()
  let lineStart = 0
  const lines = readFileSync(path, 'utf8').split('\n')
  decode(mappings).forEach((segments, line) => {
    for (const segment of segments) note(offsets, segment, lineStart)
    lineStart += (lines[line] as string).length + 1
  })
  return offsets
}

function note(offsets: Map<string, number>, segment: SourceMapSegment, lineStart: number): void {
  if (segment.length === 1) return
  const [column, , line, sourceColumn] = segment
  const place = `${line + 1}:${sourceColumn + 1}`
  if (!offsets.has(place)) offsets.set(place, lineStart + column)
}

type Block = Profiler.CoverageRange

function blocksByFile({ result }: Profiler.TakePreciseCoverageReturnType, tree: Tree): ReadonlyMap<string, readonly Block[]> {
  const root = tree.built.url
  const found = new Map<string, readonly Block[]>()
  for (const { url, functions } of result) {
    if (url.startsWith(root)) {
      const file = url.slice(root.length).replace(/\.js$/, '.ts')
      found.set(
        file,
        functions.filter(({ functionName }) => functionName !== '').flatMap(({ ranges }) => ranges),
      )
    }
  }
  return found
}

/** Whether the innermost block around `offset` ran. */
function isExecuted(blocks: readonly Block[], offset: number): boolean {
  if (offset < 0) return false
  let inner: Block | null = null
  for (const block of blocks) {
    if (offset < block.startOffset || offset >= block.endOffset) continue
    if (inner === null || block.endOffset - block.startOffset <= inner.endOffset - inner.startOffset) inner = block
  }
  return inner !== null && inner.count > 0
}
