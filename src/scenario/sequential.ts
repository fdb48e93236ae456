// What the calls of a scenario may answer: what they answer one at a time, in some order. The oracle (src/oracle) is the
// sequential model; here it is set up as the stage was, and final states are written in words that both can be compared in.
import { type CallDescription, mappingsOf, pteOf, type Sequential } from '../check/detect/index.ts'
import { geometryOf } from '../kernel/arch/arch.ts'
import { architectures } from '../kernel/arch/architectures.ts'
import { VmFault } from '../kernel/fault/fault.ts'
import { Global } from '../kernel/machine/globals.ts'
import { pfnToVirt } from '../kernel/memory/page.ts'
import { Pte, ptePfn } from '../kernel/pagetable/entries.ts'
import { Vm } from '../kernel/vma/vma.ts'
import type { Fault } from '../oracle/access.ts'
import { createOracle, type Oracle, type ProcessId } from '../oracle/oracle.ts'

const MAP_PRIVATE_ANONYMOUS_FIXED = 0x32
const SIGBUS = 7
const FORK = 'fork'

/** A call that the set-up made, and what it returned. */
export interface Past {
  readonly description: CallDescription
  readonly result: number
}

/** An address space of an oracle. */
interface Process {
  readonly oracle: Oracle
  readonly id: ProcessId
}

/**
 * The sequential model of a stage in `words`: `history` is what its set-up did, `children` the address spaces that forks of
 * the execution under way have made, in order.
 */
export function sequentialModel(
  words: Int32Array,
  history: () => readonly Past[],
  spaces: () => readonly number[],
  children: () => readonly number[],
): Sequential {
  const { pageShift } = geometryOf(architectures[words[Global.archId] as number]!, words[Global.geometryId] as number)
  const bytes = 2 ** pageShift
  const newOracle = (): Oracle =>
    createOracle({
      pageShift,
      base: (words[Global.mmapMinPage] as number) * bytes,
      limit: (words[Global.mmapBase] as number) * bytes,
      taskSize: (words[Global.taskSize] as number) * bytes,
    })
  const create = (): ReturnType<Sequential['create']> => {
    const processes = new Map<number, Process>()
    const forked: Process[] = []
    const processOf = (mm: number): Process => {
      let process = processes.get(mm)
      if (process === undefined) {
        const oracle = newOracle()
        process = { oracle, id: oracle.first }
        processes.set(mm, process)
      }
      return process
    }
    for (const { description, result } of history()) {
      const process = processOf(description.mm)
      if (description.name === FORK) processes.set(result, { oracle: process.oracle, id: process.oracle.fork(process.id) })
      else apply(process, description, bytes)
    }
    return {
      apply: (call) => {
        if (call.name === '' || call.name === 'smaps') return 0
        const process = processOf(call.mm)
        if (call.name !== FORK) return apply(process, call, bytes)
        forked.push({ oracle: process.oracle, id: process.oracle.fork(process.id) })
        return 1
      },
      state: () => [...spaces().map(processOf), ...forked].map((process) => oracleState(process, bytes)).join(' | '),
    }
  }
  return {
    create,
    state: (now) => [...spaces(), ...children()].map((mm) => machineState(now, mm)).join(' | '),
    agrees: ({ name }, expected, result) => {
      if (name === '' || name === 'smaps' || name === 'exit') return true // their results say nothing about mappings
      if (typeof expected !== 'number' || typeof result !== 'number') return expected === result
      return name === FORK ? expected > 0 === result > 0 : expected === result
    },
  }
}

/** Does `call` on the oracle. Returns what the kernel's entry returns: pages for addresses. */
function apply({ oracle, id }: Process, call: CallDescription, bytes: number): number {
  const address = call.start * bytes
  const length = call.pages * bytes
  const pages = (result: number): number => (result < 0 ? result : result / bytes)
  switch (call.name) {
    case 'mmap':
      return pages(oracle.mmap(id, { address, length, prot: call.prot ?? 0, flags: MAP_PRIVATE_ANONYMOUS_FIXED }))
    case 'munmap':
      return oracle.munmap(id, address, length)
    case 'mprotect':
      return oracle.mprotect(id, address, length, call.prot ?? 0)
    case 'madvise':
      return oracle.madvise(id, address, length, call.advice ?? 0)
    case 'mremap':
      return pages(oracle.mremap(id, address, length, (call.newPages ?? call.pages) * bytes, call.flags ?? 0, (call.target ?? 0) * bytes))
    case 'exit':
      oracle.exit(id)
      return 0
    case 'read': {
      const content = oracle.read(id, address)
      return 'stamp' in content ? content.stamp : signal(content)
    }
    case 'write': {
      const content = oracle.write(id, address, call.stamp ?? 0)
      return 'stamp' in content ? 0 : signal(content)
    }
    default:
      throw new Error(`the sequential model knows no ${call.name}`)
  }
}

/** The `VmFault` bits of a signal, negated. */
function signal({ signal: number, code }: Fault): number {
  if (number === SIGBUS) return -VmFault.sigbus
  return code === 1 ? -VmFault.sigsegvMaperr : -VmFault.sigsegvAccerr
}

function line(start: number, end: number, rights: readonly boolean[], contents: readonly string[]): string {
  const letters = rights.map((has, i) => (has ? 'rwx'[i] : '-')).join('')
  return `0x${start.toString(16)}-0x${end.toString(16)} ${letters} ${contents.join(',')}`
}

function machineState(words: Int32Array, mm: number): string {
  return mappingsOf(words, mm)
    .map(({ start, end, flags }) => {
      const contents: string[] = []
      for (let page = start; page < end; page++) {
        const pte = pteOf(words, mm, page)
        const there = (pte & (Pte.present | Pte.protnone)) !== 0
        contents.push((flags & Vm.read) === 0 ? '?' : String(there ? words[pfnToVirt(ptePfn(pte))] : 0))
      }
      return line(start, end, [(flags & Vm.read) !== 0, (flags & Vm.write) !== 0, (flags & Vm.exec) !== 0], contents)
    })
    .join('; ')
}

function oracleState({ oracle, id }: Process, bytes: number): string {
  if (!oracle.isAlive(id)) return ''
  return oracle
    .maps(id)
    .map(({ start, end, read, write, execute }) => {
      const contents: string[] = []
      for (let address = start; address < end; address += bytes) {
        const content = read ? oracle.read(id, address) : null
        contents.push(content === null || !('stamp' in content) ? '?' : String(content.stamp))
      }
      return line(start / bytes, end / bytes, [read, write, execute], contents)
    })
    .join('; ')
}
