// The list of what is a step, and the stepped machine's two modules against the native ones.
import { readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { openTree } from '../../src/check/index.ts'
import { kernelFiles } from '../../src/compile/build.ts'
import { isPlaced, isStep, Op, opName, UNPLACED, UNPLACED_NOTES } from '../../src/compile/stepped/ops.ts'
import * as annotations from '../../src/kernel/machine/annotations.ts'
import * as instructions from '../../src/kernel/machine/instructions.ts'

const tree = await openTree()

describe('the list of instructions', () => {
  it('classifies every export of machine/instructions.ts, and nothing else', () => {
    for (const name of Object.keys(instructions)) {
      expect(isPlaced(name) !== UNPLACED.includes(name), `${name} must be in Op or in UNPLACED (src/compile/stepped/ops.ts)`).toBe(true)
    }
    for (const name of Object.keys(annotations)) expect(isPlaced(name) !== UNPLACED_NOTES.includes(name), name).toBe(true)
    const known = { ...instructions, ...annotations } as Record<string, unknown>
    for (const name of Object.keys(Op)) expect(known[name], name).toBeTypeOf('function')
  })

  it('numbers each differently', () => {
    expect(new Set(Object.values(Op)).size).toBe(Object.keys(Op).length)
    for (const [name, op] of Object.entries(Op)) expect(opName(op)).toBe(name)
    expect(Object.keys(Op).filter(isStep)).toHaveLength(20)
  })
})

describe('the stepped machine', () => {
  it.each([
    ['machine/instructions.ts', instructions],
    ['machine/annotations.ts', annotations],
  ])('%s exports what the native one does', async (path, native) => {
    const stepped = await tree.module<Record<string, unknown>>(path)
    expect(Object.keys(stepped).sort()).toEqual(Object.keys(native).sort())
    for (const [name, value] of Object.entries(native)) {
      if (typeof value !== 'function') expect(stepped[name]).toEqual(value)
      else expect(stepped[name], name).toBeTypeOf('function')
    }
  })

  it('has the same tree of files as the source, and its own three', () => {
    const built = new URL('.', tree.built.url)
    const files = readdirSync(built, { recursive: true })
      .map(String)
      .filter((file) => file.endsWith('.js'))
      .map((file) => file.replace(/\.js$/, '.ts'))
    const expected = kernelFiles(new URL('../../src/kernel', import.meta.url).pathname)
    expect(files.sort()).toEqual([...expected, 'machine/announce.ts', 'machine/frame-hash.ts', 'machine/ops.ts'].sort())
  })
})
