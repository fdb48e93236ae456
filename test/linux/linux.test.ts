// Equal to Linux, the short form: recorded answers everywhere, the running kernel where it can be asked.
// `npm run test:linux` is the long form.

import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { canonical, firstDifference } from './answer.ts'
import { compare } from './compare.ts'
import { openLinux } from './linux_subject.ts'
import { Mix } from './mix.ts'
import { decode, encode } from './operation.ts'
import { OracleSubject } from './oracle_subject.ts'
import { readRecording } from './recording.ts'
import { report } from './report.ts'
import { SUBJECTS } from './subjects.ts'

const recording = readRecording(fileURLToPath(new URL('./recorded.txt.gz', import.meta.url)))
const linux = await openLinux()

afterAll(async () => {
  if (typeof linux !== 'string') await linux.close()
})

describe.each(Object.keys(SUBJECTS))('%s', (name) => {
  test(`agrees with ${recording.entries.length} recorded lists of Linux ${recording.release}`, { timeout: 120_000 }, async () => {
    const subject = await SUBJECTS[name]?.()
    if (subject === undefined) throw new Error(`no subject ${name}`)
    for (const { list, answers } of recording.entries) {
      const left = canonical(answers)
      const right = canonical(await subject.run(list))
      const at = firstDifference(left, right)
      if (at >= 0) expect.fail(report(list.slice(0, at + 1), ['Linux', name], left, right))
    }
    await subject.close?.()
  })

  const reason = typeof linux === 'string' ? ` (skipped: ${linux.split('\n')[0]})` : ''
  test.skipIf(typeof linux === 'string')(`agrees with the running kernel${reason}`, { timeout: 120_000 }, async () => {
    if (typeof linux === 'string') return
    const subject = await SUBJECTS[name]?.()
    if (subject === undefined) throw new Error(`no subject ${name}`)
    const without = linux.canBrk ? [] : (['brk'] as const)
    const { difference } = await compare({ reference: linux, subject, operations: 2000, seed: 20, without })
    expect(difference).toBeUndefined()
    await subject.close?.()
  })
})

describe('the recording', () => {
  test('survives being written as driver lines', () => {
    for (const { list } of recording.entries) expect(list.map(encode).map(decode)).toEqual(list)
  })

  test('has the mix that a comparison needs', () => {
    const mix = new Mix()
    const oracle = new OracleSubject()
    for (const { list, answers } of recording.entries) {
      oracle.run(list)
      mix.add(list, answers, oracle.hits)
    }
    expect(mix.operations).toBeGreaterThan(3000)
    expect(mix.shaped / mix.operations).toBeGreaterThan(0.2)
    expect(mix.afterFork / mix.operations).toBeGreaterThan(0.1)
  })
})
