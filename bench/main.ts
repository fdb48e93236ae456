// `npm run bench`: the same loops on our kernel and on Linux, in turns, with medians and ratios at the end.
import { availableParallelism, release } from 'node:os'
import { type Comparison, compare, comparisonTable, comparisonTargets } from './against-mmap-lock.ts'
import { type Linux, openLinux } from './linux.ts'
import { LOOPS, type LoopName } from './loop-names.ts'
import { type Latency, latencyTable, measureLatency } from './munmap-latency.ts'
import { type Options, readOptions } from './options.ts'
import { type Ours, openOurs, pageBytes } from './ours.ts'
import { pageTables } from './page-tables.ts'
import { type Result, scalingTable, table, targets } from './report.ts'
import { ratePerThread } from './statistics.ts'

const LINUX_PAGE = 4096

/** Measures one loop under one design and architecture: rounds of ours and Linux's in turns, for each number of threads. */
async function measure(loop: LoopName, design: string, arch: string, options: Options, linux: Linux | undefined): Promise<Result[]> {
  const results = options.threads.map(
    (threads): Result => ({ loop, design, arch, threads, ours: [], oursCpu: [], linux: [], linuxCpu: [] }),
  )
  const machines: Ours[] = []
  for (const threads of options.threads) machines.push(await openOurs(design, arch, threads, options.megabytes))
  const comparable = pageBytes(arch) === LINUX_PAGE
  // The first rounds are V8's and the frames': they are not kept.
  for (let round = -2; round < options.rounds; round++) {
    for (const [i, result] of results.entries()) {
      progress(`${loop} ${design} ${arch} ${result.threads} threads, round ${Math.max(0, round + 1)}/${options.rounds}`)
      const ours = await machines[i]!.run(loop, options.milliseconds)
      const theirs =
        linux !== undefined && comparable && round >= 0
          ? await linux.run(loop, result.threads, options.milliseconds, options.megabytes)
          : []
      if (round < 0) continue
      result.ours.push(ratePerThread(ours, 'wall'))
      result.oursCpu.push(ratePerThread(ours, 'cpu'))
      if (theirs.length === 0) continue
      result.linux.push(ratePerThread(theirs, 'wall'))
      result.linuxCpu.push(ratePerThread(theirs, 'cpu'))
    }
  }
  if (machines.some((m) => !m.pinned)) unpinned = true
  for (const machine of machines) await machine.close()
  return results
}

/** The time of munmap under each design, beside either kind of faults. */
async function measureLatencies({ archs, latencyDesigns, rounds, milliseconds }: Options): Promise<Latency[]> {
  const results: Latency[] = []
  for (const beside of ['faults on memory', 'faults from disk'] as const)
    for (const arch of archs)
      for (const design of latencyDesigns) {
        progress(`munmap_latency ${design} ${arch} beside ${beside}`)
        results.push(await measureLatency(design, arch, beside, rounds, milliseconds))
      }
  return results
}

/** Faults under each design against mmap-lock, alone and beside a thread that maps and unmaps. */
async function compareDesigns(options: Options): Promise<Comparison[]> {
  const results: Comparison[] = []
  for (const loop of options.comparisons)
    for (const arch of options.archs)
      for (const design of options.comparedDesigns) {
        progress(`${loop} ${design} ${arch} against mmap-lock`)
        const { pinned, ...result } = await compare(loop, design, arch, options)
        if (!pinned) unpinned = true
        results.push(result)
      }
  return results
}

let unpinned = false

function progress(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`)
}

/** Runs everything that `args` ask for. Returns the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args)
  if ('message' in options) {
    console.error(options.message)
    return options.code
  }
  if (options.pageTables !== undefined) return pageTables(options.pageTables, options.designs[0] ?? 'vma-lock', options.archs, options.json)
  const linux = options.linux ? openLinux() : 'not asked for (--no-linux)'
  const notes: string[] = []
  if (typeof linux === 'string') notes.push(`Linux was not measured: ${linux}`)
  const cores = availableParallelism()
  if (options.threads.some((n) => n > cores)) notes.push(`more threads than cores (${cores}): such rows measure the scheduler`)
  const results: Result[] = []
  let latencies: readonly Latency[] = []
  let comparisons: readonly Comparison[] = []
  try {
    for (const loop of options.loops)
      for (const arch of options.archs)
        for (const design of options.designs)
          results.push(...(await measure(loop, design, arch, options, typeof linux === 'string' ? undefined : linux)))
    latencies = await measureLatencies(options)
    comparisons = await compareDesigns(options)
  } finally {
    progress('')
    if (typeof linux !== 'string') linux.close()
  }
  if (unpinned) notes.push('our threads could not be pinned to cores (no taskset, or not allowed)')
  if (options.comparisons.length > 0 && options.comparedDesigns.length < options.designs.length)
    notes.push('drafts are unsafe and were not compared with mmap-lock')
  if (options.archs.some((arch) => pageBytes(arch) !== LINUX_PAGE))
    notes.push('no ratio where the page size is not that of the kernel underneath')
  const about = {
    kernel: release(),
    node: process.version,
    cores,
    rounds: options.rounds,
    milliseconds: options.milliseconds,
    megabytes: options.megabytes,
  }
  if (options.json) console.log(JSON.stringify({ about, notes, results, latencies, comparisons }, undefined, 2))
  else {
    console.log(
      `Linux ${about.kernel}, Node ${about.node}, ${cores} cores; ${options.rounds} rounds of ${options.milliseconds} ms, ${options.megabytes} MB\n`,
    )
    if (results.length > 0) console.log(table(results))
    const times = latencies.length === 0 ? '' : latencyTable(latencies)
    const against = comparisons.length === 0 ? '' : comparisonTable(comparisons)
    const met = [targets(results), comparisonTargets(comparisons)].filter((part) => part !== '').join('\n')
    for (const part of [scalingTable(results), times, against, met, notes.map((n) => `note: ${n}`).join('\n')])
      if (part !== '') console.log(`\n${part}`)
    if (results.length > 0) console.log(`\nwhat is counted: ${options.loops.map((l) => `${l}: ${LOOPS[l]}`).join('; ')}`)
  }
  return 0
}
