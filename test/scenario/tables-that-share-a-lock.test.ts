// Where each table has a page of its own, and with it a lock, nobody notices that locks are not compared.
import { expect, it } from 'vitest'
import { explore } from '../../src/check/explore/index.ts'
import { cellOf } from '../../src/scenario/runner/check.ts'
import { rehearse } from '../../src/scenario/runner/rehearse.ts'
import { mremapBetweenTables } from '../../src/scenario/tables-that-share-a-lock.ts'

it.each(['lock-taken-twice', 'tables-compared'])('mremap, %s', async (variant) => {
  const look = async (arch: string): Promise<string> => {
    const { model } = await rehearse(cellOf({ ...mremapBetweenTables, archs: [arch] }, {}, variant))
    const { verdict, message } = explore(model, { mode: 'bounded', preemptions: 0 })
    return `${verdict} ${message}`.trim()
  }
  for (const arch of ['powerpc64-hash-64k', 'powerpc64-radix-64k', 's390']) expect(await look(arch)).toMatch(/^violation deadlock/)
  for (const arch of ['x86_64', 'arm64-64k']) expect(await look(arch)).toBe('bounded')
})
