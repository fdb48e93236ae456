// What `npm run bench` says about designs against mmap-lock: rounds are compared pairwise, the target of one thread goes by CPU time.
// And that all of it runs, for a few milliseconds each.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { type Comparison, comparisonTable, comparisonTargets } from '../../bench/against-mmap-lock.ts'

const run = fileURLToPath(new URL('../../bench/run.mjs', import.meta.url))

function comparison(design: string, faults: number[], faultsCpu: number[]): Comparison {
  const base = { faults: [100, 200, 400], faultsCpu: [100, 200, 400], mappings: [10, 20, 30] }
  return { loop: 'fault_alone', design, arch: 'x86_64', ours: { faults, faultsCpu, mappings: [5, 10, 30] }, base }
}

test('a ratio is the median of those of single rounds, not that of two medians', () => {
  // 1.5, 0.9 and 1.2 times; the medians would give 0.9.
  const row = comparisonTable([comparison('srcu', [150, 180, 480], [100, 200, 400])]).split('\n')[2]
  expect(row?.split(/\s+/)).toEqual(['fault_alone', 'x86_64', 'srcu', '180', '200', '1.20x', '0.90-1.50', '1.00x', '10', '20', '0.50x'])
})

test('a design misses its target below nine tenths of mmap-lock by CPU time; by the clock where the system does not tell', () => {
  const unknown = [Number.NaN, Number.NaN, Number.NaN]
  const lines = comparisonTargets([
    comparison('vma-lock', [50, 100, 200], [91, 182, 364]),
    comparison('srcu', [100, 200, 400], [89, 178, 356]),
    comparison('rcu-fault', [89, 178, 356], unknown),
    comparison('mmap-lock', [50, 100, 200], [50, 100, 200]),
    { ...comparison('speculative', [10, 20, 40], [10, 20, 40]), loop: 'fault_beside_mmap' },
  ]).split('\n')
  expect(lines.map((line) => line.slice(0, 13).trim())).toEqual(['target met', 'target MISSED', 'target MISSED'])
  expect(lines[1]).toContain('fault_alone, srcu x86_64: 0.89x of at least 0.90x')
})

test('everything that takes part runs, and --json has every round', () => {
  const only = 'page_fault1,mmap_touch_munmap,munmap_latency,fault_alone,fault_beside_mmap'
  const tiny = ['--rounds', '2', '--milliseconds', '5', '--megabytes', '2', '--no-linux', '--json']
  const out = execFileSync(process.execPath, [run, '--only', only, '--designs', 'srcu', ...tiny], { encoding: 'utf8' })
  const { results, latencies, comparisons } = JSON.parse(out)
  expect(results.map((r: { loop: string; threads: number }) => [r.loop, r.threads])).toEqual([
    ['page_fault1', 1],
    ['page_fault1', 2],
    ['mmap_touch_munmap', 1],
    ['mmap_touch_munmap', 2],
  ])
  expect(latencies.map((l: { beside: string; rounds: unknown[] }) => [l.beside, l.rounds.length])).toEqual([
    ['faults on memory', 2],
    ['faults from disk', 2],
  ])
  for (const { loop, design, ours, base } of comparisons as Comparison[])
    for (const { faults, mappings } of [ours, base]) {
      expect(design).toBe('srcu')
      expect(faults).toHaveLength(2)
      expect(Math.min(...faults)).toBeGreaterThan(0)
      expect(mappings).toHaveLength(loop === 'fault_alone' ? 0 : 2)
    }
  expect(comparisons.map(({ loop }: Comparison) => loop)).toEqual(['fault_alone', 'fault_beside_mmap'])
})
