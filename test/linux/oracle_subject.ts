// The sequential oracle as a subject, with the files of operation.ts and counters of what the lists hit.

import { createOracle, type MapsLine, type Oracle } from '../../src/oracle/oracle.ts'
import type { OpenFile } from '../../src/oracle/vma.ts'
import { type Answer, FILES, NULL, OBJECTS, type Operation, REGION, type RegionLine, type Subject } from './operation.ts'

const { base, pageShift, pages, brkPage } = REGION
const pageSize = 2 ** pageShift

function makeOracle(): { oracle: Oracle; files: OpenFile[] } {
  const oracle = createOracle({
    pageShift,
    base,
    limit: base + pages * pageSize,
    end: base + pages * pageSize,
    startBrk: base + brkPage * pageSize,
  })
  const objects = Object.entries(OBJECTS).map(([name, { size, firstStamp }]) => {
    const stamps = new Map<number, number>()
    for (let page = 0; page * pageSize < size; page += 2) stamps.set(page, firstStamp + page)
    return oracle.createObject(name, size, stamps)
  })
  const files = FILES.map(({ object, ...rights }) => {
    const inode = objects.find(({ name }) => name === object)
    if (inode === undefined) throw new Error(`no object ${object}`)
    return oracle.open(inode, rights)
  })
  return { oracle, files }
}

/** One maps line of the oracle in the region's terms. */
export function regionLine(line: MapsLine): RegionLine {
  const perms = (line.read ? 'r' : '-') + (line.write ? 'w' : '-') + (line.execute ? 'x' : '-') + (line.shared ? 's' : 'p')
  const start = (line.start - base) / pageSize
  return { start, end: (line.end - base) / pageSize, perms, offset: line.offset / pageSize, object: line.object?.name ?? '-' }
}

function absolute(address: number): number {
  return address === NULL ? 0 : base + address
}

function relative(result: number): number {
  return result < 0 ? result : result - base
}

/** What happened during one operation. */
export interface Hit {
  readonly split: boolean
  readonly merge: boolean
  readonly partialUnmap: boolean
}

/** The oracle in the middle of a list. */
export class OracleRun {
  readonly hits: Hit[] = []
  readonly #machine = makeOracle()
  readonly #processes = new Map<number, number>([[0, this.#machine.oracle.first]])

  /** Performs one operation. */
  step(op: Operation): Answer {
    const { oracle, files } = this.#machine
    const before = { ...oracle.counters }
    const answer = perform(oracle, files, this.#processes, op)
    const { splits, merges, partialUnmaps } = oracle.counters
    const partialUnmap = partialUnmaps > before.partialUnmaps
    this.hits.push({ split: splits > before.splits, merge: merges > before.merges, partialUnmap })
    return answer
  }

  /** The mappings of a living process. */
  maps(process: number): RegionLine[] {
    const known = this.#processes.get(process)
    return known === undefined ? [] : this.#machine.oracle.maps(known).map(regionLine)
  }
}

/** The oracle, performing one list after another. */
export class OracleSubject implements Subject {
  readonly name = 'oracle'
  /** What each operation of the last list hit. */
  hits: Hit[] = []

  run(list: readonly Operation[]): Answer[] {
    const run = new OracleRun()
    this.hits = run.hits
    return list.map((op) => run.step(op))
  }
}

function perform(oracle: Oracle, files: OpenFile[], processes: Map<number, number>, op: Operation): Answer {
  const process = processes.get(op.process)
  if (process === undefined) throw new Error(`no such process: ${op.process}`)
  let outcome: Omit<Answer, 'maps'>
  switch (op.kind) {
    case 'mmap': {
      const { length, prot, flags, offset } = op
      const request = { address: absolute(op.address), length, prot, flags, offset, file: files[op.file] }
      outcome = { result: relative(oracle.mmap(process, request)) }
      break
    }
    case 'munmap':
      outcome = { result: oracle.munmap(process, absolute(op.address), op.length) }
      break
    case 'mprotect':
      outcome = { result: oracle.mprotect(process, absolute(op.address), op.length, op.prot) }
      break
    case 'madvise':
      outcome = { result: oracle.madvise(process, absolute(op.address), op.length, op.advice) }
      break
    case 'mremap': {
      const { oldLength, newLength, flags } = op
      const result = oracle.mremap(process, absolute(op.address), oldLength, newLength, flags, absolute(op.newAddress))
      outcome = { result: relative(result) }
      break
    }
    case 'brk':
      outcome = { result: relative(oracle.brk(process, absolute(op.address))) }
      break
    case 'fork':
      processes.set(op.child, oracle.fork(process))
      outcome = { result: 0 }
      break
    case 'exit':
      oracle.exit(process)
      processes.delete(op.process)
      return { result: 0, maps: [] }
    case 'read':
    case 'write':
      outcome = access(oracle, process, op)
      break
  }
  return { ...outcome, maps: oracle.maps(process).map(regionLine) }
}

function access(oracle: Oracle, process: number, op: Operation & { kind: 'read' | 'write' }): Omit<Answer, 'maps'> {
  const address = absolute(op.address)
  const seen = op.kind === 'read' ? oracle.read(process, address) : oracle.write(process, address, op.stamp)
  if ('signal' in seen) {
    const signal = seen.signal === 7 ? 'SIGBUS' : 'SIGSEGV'
    return { result: 0, fault: { signal, code: seen.code, address: relative(seen.address) } }
  }
  return op.kind === 'read' ? { result: seen.stamp, otherwise: seen.otherwise } : { result: 0 }
}
