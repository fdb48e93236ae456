// The conformance suite, one operation at a time: every design on every architecture answers as Linux does, on threads
// and stepped; so do the small geometries and every sound way to free page tables. Machines of other pages see the same lists
// with every address and length changed alike.
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { freeings } from '../../src/kernel/pagetable/freeing.ts'
import { isDistinct } from '../../src/scenario/runner/axes.ts'
import { furtherAxes, rbtreeCombinations, sequentialCombinations, share } from '../combinations.ts'
import { canonical, firstDifference } from '../linux/answer.ts'
import { CASES } from '../linux/cases.ts'
import { OracleSubject } from '../linux/oracle_subject.ts'
import { readRecording } from '../linux/recording.ts'
import { report } from '../linux/report.ts'
import { nativeExecutor, steppedExecutor } from './executor.ts'
import { KernelSubject } from './kernel-subject.ts'

const recording = readRecording(fileURLToPath(new URL('../linux/recorded.txt.gz', import.meta.url)))
/** All but the default, which the tests above have, and the drafts that lose tables. */
const SOUND = freeings.filter(({ name, draft }) => name !== 'rcu-batch' && draft !== true).map(({ name }) => name)
const stepped = await steppedExecutor()

function compare(subject: KernelSubject, list: Parameters<KernelSubject['run']>[0], answers: ReturnType<KernelSubject['run']>): void {
  const left = canonical(answers)
  const right = canonical(subject.run(list))
  const at = firstDifference(left, right)
  if (at >= 0) expect.fail(report(list.slice(0, at + 1), ['expected', subject.name], left, right))
}

describe.each(sequentialCombinations)('%s on %s', (design, arch, parts, part) => {
  const cases = share(Object.values(CASES), parts, part)
  const recorded = share(recording.entries, parts, part)

  test('answers the recorded lists as Linux did', () => {
    const subject = new KernelSubject(design, arch)
    // Booting a machine of large pages costs most here, so those see every fourth list.
    const every = arch === 'x86_64' ? 1 : 4
    recorded.forEach(({ list, answers }, i) => {
      if (i % every === 0) compare(subject, list, answers)
    })
  })

  test('answers the hand-written lists as the oracle does', () => {
    const subject = new KernelSubject(design, arch)
    for (const list of cases) compare(subject, list, new OracleSubject().run(list))
  })

  test('answers the same on a small machine', async () => {
    const subject = new KernelSubject(design, arch, nativeExecutor, { geometry: 'small' })
    for (const list of cases) compare(subject, list, new OracleSubject().run(list))
    recorded.forEach(({ list, answers }, i) => {
      if (i % 4 === 0) compare(subject, list, answers)
    })
    const alike = new KernelSubject(design, arch, stepped.factory, { geometry: 'small' })
    await stepped.bind(alike.machine)
    for (const { list, answers } of recorded.slice(0, 15)) compare(alike, list, answers)
  })

  test.each(SOUND.filter((freeing) => isDistinct(freeing, arch)))('answers the same with page tables freed by %s', (freeing) => {
    const subject = new KernelSubject(design, arch, nativeExecutor, { geometry: 'small', freeing })
    for (const list of cases) compare(subject, list, new OracleSubject().run(list))
    recorded.slice(0, 40).forEach(({ list, answers }) => void compare(subject, list, answers))
  })

  test('answers stepped as on a thread', async () => {
    const subject = new KernelSubject(design, arch, stepped.factory)
    await stepped.bind(subject.machine)
    for (const list of cases) compare(subject, list, new OracleSubject().run(list))
    for (const { list, answers } of recorded.slice(0, 15)) compare(subject, list, answers)
  })
})

describe.each(rbtreeCombinations)('%s on %s, VMAs in an rbtree', (design, arch) => {
  test('answers all lists the same', () => {
    const subject = new KernelSubject(design, arch, nativeExecutor, { index: 'rbtree' })
    for (const list of Object.values(CASES)) compare(subject, list, new OracleSubject().run(list))
    const every = arch === 'x86_64' ? 1 : 4
    recording.entries.forEach(({ list, answers }, i) => {
      if (i % every === 0) compare(subject, list, answers)
    })
  })

  test('answers the same on a small machine, on a thread and stepped', async () => {
    const subject = new KernelSubject(design, arch, nativeExecutor, { geometry: 'small', index: 'rbtree' })
    for (const list of Object.values(CASES)) compare(subject, list, new OracleSubject().run(list))
    const alike = new KernelSubject(design, arch, stepped.factory, { geometry: 'small', index: 'rbtree' })
    await stepped.bind(alike.machine)
    for (const { list, answers } of recording.entries.slice(0, 15)) compare(alike, list, answers)
  })
})

describe.each(furtherAxes)('with %s', (_, axes, pairs) => {
  test.each(pairs)('%s on %s answers the same', async (design, arch) => {
    for (const geometry of ['small', 'real'] as const) {
      const subject = new KernelSubject(design, arch, nativeExecutor, { geometry, ...axes })
      for (const list of Object.values(CASES)) compare(subject, list, new OracleSubject().run(list))
      recording.entries.forEach(({ list, answers }, i) => {
        if (i % 8 === 0) compare(subject, list, answers)
      })
    }
    const alike = new KernelSubject(design, arch, stepped.factory, { geometry: 'small', ...axes })
    await stepped.bind(alike.machine)
    for (const { list, answers } of recording.entries.slice(0, 10)) compare(alike, list, answers)
  })
})
