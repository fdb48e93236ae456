// One search on several Workers comes to what one thread comes to.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { explore, exploreJobs, PathMismatch, replay } from '../../../src/check/explore/index.ts'
import type { Flavour } from './random-programs.ts'
import { counterModel, END_WORDS, randomModel, stackModel } from './shared-programs.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const PROGRAMS = Number(process.env.GRACEWALK_FUZZ ?? 8)

/** Compiles shared-programs.ts for Workers. Returns its address. */
function compiledPrograms(): string {
  const out = join(root, 'node_modules', '.cache', 'gracewalk-shared-programs')
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const plain = ['--ignoreConfig', '--noEmit', 'false', '--outDir', out, '--rootDir', root, '--target', 'ES2022', '--module', 'nodenext']
  const imports = ['--rewriteRelativeImportExtensions', '--allowImportingTsExtensions', 'false', '--types', 'node', '--skipLibCheck']
  const source = join(root, 'test', 'check', 'explore', 'shared-programs.ts')
  const { status, stdout } = spawnSync(process.execPath, [tsc, ...plain, ...imports, source], { encoding: 'utf8', cwd: root })
  if (status !== 0) throw new Error(stdout)
  return pathToFileURL(join(out, 'test', 'check', 'explore', 'shared-programs.js')).href
}

const url = compiledPrograms()
const endsOf = (ends: SharedArrayBuffer): string => new Int32Array(ends).join()
const freshEnds = (): SharedArrayBuffer => new SharedArrayBuffer(END_WORDS * 4)

describe('several Workers', () => {
  it('find the ends that one thread finds', async () => {
    const differing: string[] = []
    let states = 0
    let wrong = 0
    for (let seed = 0; seed < PROGRAMS; seed++) {
      const flavour = (['mixed', 'scattered', 'locks', 'plain'] as Flavour[])[seed % 4] as Flavour
      const alone = freshEnds()
      const expected = explore(randomModel(seed, flavour, alone), { mode: 'states', keepGoing: true })
      states += expected.states
      if (expected.verdict === 'violation') wrong++
      for (const jobs of [2, 3]) {
        const ends = freshEnds()
        const found = await exploreJobs(
          { url, exportName: 'randomModel', args: [seed, flavour, ends] },
          { jobs, mode: 'states', keepGoing: true },
        )
        const same = expected.verdict === 'violation' || (endsOf(ends) === endsOf(alone) && found.states === expected.states)
        if (found.verdict !== expected.verdict || !same) differing.push(`seed ${seed} ${flavour} with ${jobs} jobs: ${found.states} states`)
      }
    }
    expect(differing).toEqual([])
    expect(states).toBeGreaterThan(PROGRAMS * 100)
    expect(wrong).toBeLessThan(PROGRAMS)
  })

  it('share the work and count it once', async () => {
    const ends = freshEnds()
    const report = await exploreJobs({ url, exportName: 'counterModel', args: [4, 4, ends] }, { jobs: 2, mode: 'states' })
    const alone = explore(counterModel(4, 4, ends), { mode: 'states' })
    expect(report).toMatchObject({ verdict: 'proved', states: alone.states, sharedObjects: 2, agents: 4 })
  })

  it('find a bug with the fewest preemptions', async () => {
    const report = await exploreJobs({ url, exportName: 'stackModel', args: [3, true] }, { jobs: 2 })
    const alone = explore(stackModel(3, true), { mode: 'check' })
    expect(report).toMatchObject({ verdict: 'violation', preemptions: alone.preemptions, message: alone.message })
    expect(replay(stackModel(3, true), report.path)).toBe(report.message)
    expect(() => replay(stackModel(2, true), report.path)).toThrow(PathMismatch)
  })

  it('stop when a budget is spent', async () => {
    const source = { url, exportName: 'stackModel', args: [4, false] }
    expect(await exploreJobs(source, { jobs: 2, mode: 'states', executions: 50 })).toMatchObject({
      verdict: 'stopped',
      message: 'the budget of 50 executions is spent',
    })
    expect(await exploreJobs(source, { jobs: 2, mode: 'states', states: 900 })).toMatchObject({
      verdict: 'stopped',
      message: 'the budget of 900 states is spent',
    })
    expect(await exploreJobs(source, { jobs: 2, mode: 'states', milliseconds: 0 })).toMatchObject({
      verdict: 'stopped',
      message: 'the budget of 0 s is spent',
    })
    expect(await exploreJobs(source, { jobs: 2, preemptions: 1, mode: 'bounded' })).toMatchObject({ verdict: 'bounded', preemptions: 1 })
  })

  it('say why a model cannot be built', async () => {
    await expect(exploreJobs({ url, exportName: 'failingModel', args: [] }, { jobs: 2 })).rejects.toThrow('this model cannot be built')
    await expect(exploreJobs({ url, exportName: 'noModel', args: [] }, { jobs: 2 })).rejects.toThrow('exports no noModel')
  })
})
