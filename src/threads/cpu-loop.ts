// What a CPU's thread does, whatever kind of thread it is.
import { attachCpu } from '../machine/machine.ts'
import { loadDesignOf } from '../machine/own-design.ts'
import type { CpuJob, CpuStart, FromCpu } from './cpu-job.ts'

let cpu = -1

/** Makes this thread the CPU that it was started as, once the machine's design is loaded. */
export async function startCpu(start: CpuStart): Promise<void> {
  cpu = start.cpu
  await loadDesignOf(start.machine.shape)
  attachCpu(start.machine, start.cpu)
}

/** Runs one job. An error of the job is an answer, not the thread's death. */
export async function runJob(id: number, job: CpuJob): Promise<FromCpu> {
  try {
    const module = (await import(job.module)) as Record<string, (cpu: number, data: unknown) => unknown>
    const run = module[job.name]
    if (run === undefined) throw new Error(`${job.module} exports no '${job.name}'`)
    return { kind: 'done', id, result: await run(cpu, job.data) }
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error))
    return { kind: 'failed', id, message, stack: stack ?? message }
  }
}
