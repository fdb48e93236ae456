// The words of a machine that only count: nothing in the kernel is decided by what they hold, so states that differ in
// nothing else are one state.
import type { Machine } from '../execution.ts'

/** Fields of a CPU's area that are statistics by their names. */
function isStatistic(name: string): boolean {
  return name.startsWith('stat') || name === 'mmapReadSince'
}

/** One byte for each word of `machine`: 1 if it is a statistic. */
export function statistics({ tree, words, cpus, areas }: Machine): Uint8Array {
  const { Cpu, CPU_STRIDE } = tree.percpu
  const ignored = new Uint8Array(words.length)
  const offsets = Object.values(Cpu).sort((a, b) => a - b)
  for (const [name, offset] of Object.entries(Cpu)) {
    if (!isStatistic(name)) continue
    const end = offsets.find((other) => other > offset) as number
    for (let cpu = 0; cpu < cpus; cpu++) ignored.fill(1, areas + cpu * CPU_STRIDE + offset, areas + cpu * CPU_STRIDE + end)
  }
  return ignored
}
