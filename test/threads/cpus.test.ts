// CPUs as threads: they start, run jobs, fail with their own errors, and a whole machine survives them all at once.
import { describe, expect, test } from 'vitest'
import { Cache, slabObjectsInUse } from '../../src/kernel/memory/slab.ts'
import { attachCpu, bootMachine } from '../../src/machine/machine.ts'
import { startCpus } from '../../src/threads/cpus.ts'
import { accounted } from '../check/whole-machine.ts'
import { pairs } from '../combinations.ts'

const module = new URL('./stress-job.mjs', import.meta.url).href
const CPUS = 4

describe('the threads of a machine', () => {
  test('fail with the error of their job and go on', async () => {
    const cpus = await startCpus(bootMachine({ cpus: 2 }), 2)
    await expect(cpus.run(1, { module, name: 'throws', data: null })).rejects.toThrow('a job that fails')
    await expect(cpus.run(0, { module, name: 'setUp', data: null })).resolves.toMatchObject({ mm: expect.any(Number) })
    await expect(cpus.run(0, { module, name: 'nothing', data: null })).rejects.toThrow("exports no 'nothing'")
    await cpus.stop()
    await expect(cpus.run(0, { module, name: 'setUp', data: null })).rejects.toThrow('no CPU 0')
  })

  test('fail every job when one of them dies', async () => {
    const cpus = await startCpus(bootMachine({ cpus: 2 }), 2)
    const { mm, shared } = (await cpus.run(0, { module, name: 'setUp', data: null })) as { mm: number; shared: number }
    const other = cpus.run(0, { module, name: 'stress', data: { mm, shared, rounds: 1e9 } })
    const death = cpus.run(1, { module, name: 'dies', data: null })
    await expect(death).rejects.toThrow('CPU 1 died: its thread exited with code 3')
    await expect(other).rejects.toThrow('CPU 1 died')
  })
})

describe(`${CPUS} threads in one space leave nothing behind`, () => {
  test.each(pairs)('%s on %s', async (design, arch) => {
    const machine = bootMachine({ cpus: CPUS, design, arch, memory: arch.includes('64k') ? 128 * 2 ** 20 : 32 * 2 ** 20, poison: true })
    attachCpu(machine, 0)
    const frames = accounted(CPUS)
    const cpus = await startCpus(machine, CPUS)
    const { mm, shared } = (await cpus.run(0, { module, name: 'setUp', data: null })) as { mm: number; shared: number }
    const written = await cpus.runAll({ module, name: 'stress' }, () => ({ mm, shared, rounds: 300 }))
    expect(Math.min(...(written as number[]))).toBeGreaterThan(300)
    await cpus.run(0, { module, name: 'finish', data: { mm } })
    await cpus.stop()
    for (const [name, cache] of Object.entries(Cache)) expect(`${name} ${slabObjectsInUse(cache)}`).toBe(`${name} 0`)
    expect(accounted(CPUS)).toBe(frames)
  })
})
