// The library as others get it: packed, unpacked into an empty project without any dependency, run, and type-checked; its
// examples; and what a browser would have to load.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
const run = (command: string, args: readonly string[], cwd: string): string =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

let project: string
beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'gracewalk-'))
  const home = join(project, 'node_modules', 'gracewalk')
  mkdirSync(home, { recursive: true })
  const [packed] = JSON.parse(run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', project], root)) as {
    filename: string
  }[]
  run('tar', ['-xzf', join(project, packed!.filename), '--strip-components=1', '-C', home], project)
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'empty', private: true, type: 'module' }))
}, 60_000)
afterAll(() => rmSync(project, { recursive: true, force: true }))

test('an ESM program in an empty project uses it', () => {
  writeFileSync(
    join(project, 'main.js'),
    `import * as gracewalk from 'gracewalk'
const machine = gracewalk.createMachine({ memory: 4 << 20, cpus: 1 })
const space = machine.createSpace()
const address = space.mmap({ length: 8192 })
space.setFloat64(address + 4092, Math.PI)
let error
try { space.getInt8(0) } catch (e) { error = e }
console.log(JSON.stringify([Object.keys(gracewalk).sort(), space.getFloat64(address + 4092), error.code]))
`,
  )
  const [names, value, code] = JSON.parse(run(process.execPath, ['main.js'], project))
  expect(names).toEqual(
    ['AddressSpace', 'BusError', 'Machine', 'MachineError', 'MachineOptionError', 'MemoryError', 'MemoryFile'].concat([
      'SegmentationFault',
      'VirtualAtomics',
      'attachMachine',
      'createMachine',
      'loadDesign',
    ]),
  )
  expect([value, code]).toEqual([Math.PI, 'MAPERR'])
})

test('its types are there, and they say no where they should', () => {
  writeFileSync(
    join(project, 'check.ts'),
    `import { type AddressSpace, attachMachine, createMachine, type Machine, type MachineHandle, type Mapping, MemoryError, type Pin } from 'gracewalk'
const machine: Machine = createMachine({ memory: 4 << 20, design: 'vma-lock' })
const handle: MachineHandle = machine.handle
const space: AddressSpace = attachMachine(handle, 1).space(machine.createSpace().id)
const address: number = space.mmap({ length: 4096, prot: 'rw', file: machine.createFile(4096), shared: true })
space.madvise(address, 4096, 'populate-write')
const maps: readonly Mapping[] = space.maps()
const pin: Pin = space.pin(address, { write: true })
const big: bigint = space.getBigInt64(address)
const woken: 'ok' | 'not-equal' | 'timed-out' = space.atomics.wait(address, 0, 1)
space.registerUserfault(address, 4096, (page) => new Uint8Array(page % 7))
const name = (error: unknown): string => (error instanceof MemoryError ? error.code : '')
// @ts-expect-error no such protection
space.mprotect(address, 4096, 'read')
// @ts-expect-error numbers are not BigInts
space.setBigInt64(address, 1)
// @ts-expect-error a length is needed
space.mmap({})
// @ts-expect-error not for the public
space.enter(address, 1, 0)
console.log(maps, pin.bytes, big, woken, name)
`,
  )
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2022',
    lib: ['es2022', 'dom'],
    strict: true,
    noEmit: true,
    types: [],
    skipLibCheck: false,
  }
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['check.ts'] }))
  expect(run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', project], project)).toBe('')
}, 60_000)

test('the examples do what they say, also from the package', () => {
  const examples = join(project, 'node_modules', 'gracewalk', 'examples')
  const said = (name: string, at: string): string => run(process.execPath, [join(at, name)], at).trim()
  const expected = {
    'four-workers.mjs': '3200 pages checked, 1 mapping left',
    'emulator-memory.mjs': `sum 499500, then SIGSEGV ACCERR at 0x400000 at pc 0x400004
after a write 1499500, in the snapshot 499500`,
    'userfault.mjs': `3 squared is 9
1000 squared is 1000000
1001 squared is 1002001
100000000 squared is 10000000000000000
3 pages of 262144 were made`,
  }
  expect(
    readdirSync(examples)
      .filter((name) => name.endsWith('.mjs'))
      .sort(),
  ).toEqual(Object.keys(expected).sort())
  for (const [name, text] of Object.entries(expected)) expect(said(name, join(root, 'examples'))).toBe(text)
  expect(said('four-workers.mjs', examples)).toBe(expected['four-workers.mjs'])
  expect(readFileSync(join(root, 'examples/four-workers.mjs'), 'utf8').split('\n').length).toBeLessThanOrEqual(41)
})

test('loading it needs no module of Node: nothing is imported statically but its own files', () => {
  const seen = new Set<string>()
  const foreign = new Set<string>()
  const visit = (file: string): void => {
    if (seen.has(file)) return
    seen.add(file)
    for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(
      /^(?:import|export) (?:\{[^}]*\}|\*(?: as \w+)?|\w+) from ['"]([^'"]+)/gm,
    )) {
      if (specifier.startsWith('.')) visit(resolve(dirname(file), specifier))
      else foreign.add(specifier)
    }
  }
  visit(join(project, 'node_modules/gracewalk/dist/index.js'))
  expect(seen.size).toBeGreaterThan(40)
  expect([...foreign]).toEqual([])
  expect([...seen].filter((file) => /\/(?:threads|trace|cli|compile|check|oracle)\//.test(file))).toEqual([])
})
