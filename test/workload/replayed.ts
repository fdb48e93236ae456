// Programs for the tests, and a plain model that runs their operations in any order: one map entry per page.

import { buildProgram } from '../../src/workload/program/build.ts'
import type { Operation, Program } from '../../src/workload/program/program.ts'
import { perf, recordingOf } from '../trace/recorded.ts'

/** Text of a recording as a program. */
export async function programOf(text: string): Promise<Program> {
  return buildProgram(await recordingOf(text))
}

/** Writes perf script lines one after the other, one microsecond apart. */
export class Recorder {
  text = ''
  time = 1_000_000
  say(pid: number, tid: number, event: string, text: string, comm = 'prog'): this {
    this.text += perf(pid, tid, this.time++, event, text, comm)
    return this
  }
  touch(pid: number, tid: number, address: number, code = 6): this {
    return this.say(pid, tid, 'exceptions:page_fault_user', `address=0x${address.toString(16)} ip=0x2 error_code=0x${code.toString(16)}`)
  }
  enter(pid: number, tid: number, call: string, ...args: number[]): this {
    return this.say(
      pid,
      tid,
      `syscalls:sys_enter_${call}`,
      args.map((arg, at) => `a${at}: 0x${(arg < 0 ? 0xffffffff : arg).toString(16).padStart(8, '0')}`).join(', '),
    )
  }
  leave(pid: number, tid: number, call: string, result: number): this {
    const text = result < 0 ? (2n ** 64n + BigInt(result)).toString(16) : result.toString(16)
    return this.say(pid, tid, `syscalls:sys_exit_${call}`, `0x${text}`)
  }
  call(pid: number, tid: number, call: string, args: number[], result: number): this {
    return this.enter(pid, tid, call, ...args).leave(pid, tid, call, result)
  }
  fork(pid: number, tid: number, child: number): this {
    return this.say(pid, tid, 'sched:sched_process_fork', `comm=prog pid=${tid} child_comm=prog child_pid=${child}`)
  }
  exec(pid: number): this {
    return this.say(pid, pid, 'sched:sched_process_exec', `filename=/bin/prog pid=${pid} old_pid=${pid}`)
  }
  exit(pid: number, tid: number, last: boolean): this {
    return this.say(pid, tid, 'sched:sched_process_exit', `comm=prog pid=${tid} prio=120 group_dead=${last}`)
  }
}

/** One operation in few words. */
export function short(operation: Operation): string {
  const flags = [operation.inferred ? 'inferred' : '', operation.denied ? 'denied' : '', operation.errno ? `errno ${operation.errno}` : '']
    .filter(Boolean)
    .join(' ')
  const size = operation.kind === 'touch' ? '' : `+${operation.length.toString(16)}`
  return `${operation.kind} ${operation.address.toString(16)}${size}${flags ? ` ${flags}` : ''}`
}

/** What each operation finds when they are run in this order. Pages hold the mapping they belong to and its protection. */
export function outcomes(program: Program, order: number[]): string[] {
  const spaces = program.spaces.map(() => new Map<number, [number, number]>())
  const out: string[] = []
  for (const index of order) {
    const operation = program.operations[index]!
    const pages = spaces[operation.space]!
    const { kind, address, length, prot, result, newLength } = operation
    const first = Math.floor(address / 4096)
    const found: number[] = []
    if (kind === 'touch') {
      const [mapping, prot] = pages.get(first) ?? [-1, 0]
      const allowed = operation.exec ? (prot & 4) !== 0 : operation.write ? (prot & 2) !== 0 : prot !== 0
      out[index] = `${mapping} ${allowed}`
      continue
    }
    if (kind === 'fork' || kind === 'exec' || kind === 'exit') {
      let sum = 0
      if (kind === 'fork' || operation.last)
        for (const [page, [mapping]] of pages) sum = (sum + (page % 65_521) * (mapping + 1)) % 1_000_003
      out[index] = `${sum}`
      if (kind === 'fork' && operation.child >= 0) spaces[operation.child] = new Map(pages)
      else if (operation.last) spaces[operation.space] = new Map()
      continue
    }
    if (operation.errno !== 0) continue
    const each = (from: number, to: number, change: (page: number) => void): void => {
      for (let page = from; page < to; page++) {
        found.push(pages.get(page)?.[0] ?? -1)
        change(page)
      }
    }
    const last = Math.ceil((address + length) / 4096)
    if (kind === 'mmap') each(first, last, (page) => pages.set(page, [index, prot]))
    else if (kind === 'munmap') each(first, last, (page) => pages.delete(page))
    else if (kind === 'mprotect') each(first, last, (page) => pages.has(page) && pages.set(page, [pages.get(page)![0], prot]))
    else if (kind === 'madvise') each(first, last, () => {})
    else if (kind === 'brk') {
      if (length > 0) each(Math.ceil((result - length) / 4096), Math.ceil(result / 4096), (page) => pages.set(page, [index, 3]))
      else each(Math.ceil(result / 4096), Math.ceil((result - length) / 4096), (page) => pages.delete(page))
    } else {
      const moved = pages.get(first) ?? ([index, 3] as [number, number])
      each(first, last, (page) => pages.delete(page))
      each(Math.floor(result / 4096), Math.ceil((result + newLength) / 4096), (page) => pages.set(page, moved))
    }
    out[index] = found.join()
  }
  return out
}

/** An order that keeps each task's own and everything that the program asks for; `choose` picks a task among so many. */
export function linearize(program: Program, choose: (count: number) => number): number[] {
  const queues = program.tasks.map((task) => program.operations.filter((operation) => operation.task === task.index))
  const done = new Uint8Array(program.operations.length)
  const order: number[] = []
  const ready = (task: number): boolean => {
    const next = queues[task]![0]
    const start = program.tasks[task]!.startedAfter
    return next !== undefined && (start < 0 || done[start] === 1) && next.after.every((index) => done[index] === 1)
  }
  while (order.length < program.operations.length) {
    const able = program.tasks.map((task) => task.index).filter(ready)
    if (able.length === 0) throw new Error(`nobody can go on after ${order.length} operations`)
    const task = able[choose(able.length)]!
    for (let burst = choose(30); burst >= 0 && ready(task); burst--) {
      const { index } = queues[task]!.shift()!
      done[index] = 1
      order.push(index)
    }
  }
  return order
}
