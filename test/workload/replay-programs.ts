// Small programs for the tests of the replay, written operation by operation.
import { emptyOperation, emptyProgramReport, type Operation, type OperationKind, type Program } from '../../src/workload/program/program.ts'
import type { ReplayOptions } from '../../src/workload/replay/options.ts'
import { type ReplayResult, replay } from '../../src/workload/replay/replay.ts'

export const PAGE = 4096
export const ANONYMOUS = 0x22
export const SHARED_ANONYMOUS = 0x21

/** Builds a program; operations come in recorded order. */
export class Script {
  readonly operations: Operation[] = []
  readonly spaces: { parent: number; madeBy: number; heapStart: number }[] = [{ parent: -1, madeBy: -1, heapStart: Number.NaN }]
  readonly tasks: { startedAfter: number }[] = []
  readonly files: number[] = []

  task(startedAfter = -1): number {
    return this.tasks.push({ startedAfter }) - 1
  }
  add(kind: OperationKind, task: number, space: number, fields: Partial<Operation>): number {
    const operation = { ...emptyOperation(kind, task), space, result: 0, ...fields }
    operation.index = this.operations.push(operation) - 1
    return operation.index
  }
  mmap(task: number, space: number, page: number, pages: number, prot = 3, fields: Partial<Operation> = {}): number {
    const address = page * PAGE
    return this.add('mmap', task, space, { address, result: address, length: pages * PAGE, prot, flags: ANONYMOUS, ...fields })
  }
  munmap(task: number, space: number, page: number, pages: number, fields: Partial<Operation> = {}): number {
    return this.add('munmap', task, space, { address: page * PAGE, length: pages * PAGE, ...fields })
  }
  mprotect(task: number, space: number, page: number, pages: number, prot: number, fields: Partial<Operation> = {}): number {
    return this.add('mprotect', task, space, { address: page * PAGE, length: pages * PAGE, prot, ...fields })
  }
  write(task: number, space: number, page: number, fields: Partial<Operation> = {}): number {
    return this.add('touch', task, space, { address: page * PAGE, length: 1, write: true, user: true, ...fields })
  }
  read(task: number, space: number, page: number, fields: Partial<Operation> = {}): number {
    return this.add('touch', task, space, { address: page * PAGE, length: 1, user: true, ...fields })
  }
  fork(task: number, space: number): { child: number; space: number } {
    const child = this.spaces.length
    const at = this.add('fork', task, space, { child, childTask: this.tasks.length })
    this.spaces.push({ parent: space, madeBy: at, heapStart: Number.NaN })
    return { child: this.task(at), space: child }
  }
  exec(task: number, space: number, last = true): number {
    const child = this.spaces.length
    const at = this.add('exec', task, space, { child, last })
    this.spaces.push({ parent: -1, madeBy: at, heapStart: Number.NaN })
    return child
  }
  exit(task: number, space: number, last: boolean, after: readonly number[] = []): number {
    return this.add('exit', task, space, { last, after })
  }
  program(): Program {
    return {
      name: 'script',
      processes: [{ index: 0, pid: 1, name: 'script', parent: -1, forkedAt: -1, tasks: this.tasks.map((_, index) => index) }],
      tasks: this.tasks.map(({ startedAfter }, index) => ({
        index,
        tid: 100 + index,
        process: 0,
        name: 'script',
        parent: -1,
        startedAfter,
      })),
      spaces: this.spaces.map((space, index) => ({ index, process: 0, ...space })),
      files: this.files.map((size, index) => ({ index, name: `file${index}`, identity: 'path' as const, size })),
      operations: this.operations,
      report: emptyProgramReport(),
    }
  }
}

/** Replays on `vma-lock` and x86_64, once, with junk in freed frames. */
export async function replayed(program: Program, options: Partial<ReplayOptions> = {}): Promise<ReplayResult> {
  const result = await replay(program, { design: 'vma-lock', arch: 'x86_64', warmUps: 0, runs: 1, poison: true, ...options })
  if ('skipped' in result) throw new Error(result.skipped)
  return result
}
