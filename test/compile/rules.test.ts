// Kernel code keeps the rules of DESIGN.md: all of src/kernel does, and each rule refuses a sample that breaks it.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { kernelFiles } from '../../src/compile/build.ts'
import { readModule } from '../../src/compile/module.ts'
import { link } from '../../src/compile/program.ts'
import { checkKernelRules, checkProgram } from '../../src/compile/rules.ts'
import { formatRefusal, parseSource } from '../../src/compile/source.ts'

const root = fileURLToPath(new URL('../../src/kernel/', import.meta.url))

describe('src/kernel', () => {
  const files = kernelFiles(root)
  it.each(files)('%s', (path) => {
    expect(checkKernelRules(path, readFileSync(root + path, 'utf8')).map(formatRefusal)).toEqual([])
  })

  it('links', () => {
    const program = link(new Map(files.map((path) => [path, readModule(parseSource(path, readFileSync(root + path, 'utf8')))])))
    expect(checkProgram(program).map(formatRefusal)).toEqual([])
    expect(files.length).toBeGreaterThan(10)
  })
})

/** Reason → a module that is refused for it; `@` is where. */
const SAMPLES: readonly (readonly [reason: string, text: string])[] = [
  ['a closure (arrow function)', 'function f(p: number): void {\n  g(@() => 1)\n}\nfunction g(p: number): void {}'],
  ['a closure (function expression)', 'function f(p: number): void {\n  f(@function () {})\n}'],
  ['a closure (arrow function)', 'export const f = @() => 1'],
  ['a function inside a function', 'function f(p: number): void {\n  @function g(): void {}\n}'],
  ['a class', '@class A {}'],
  ['a class', 'export @class A {}'],
  ['a class', 'function f(): void {\n  @class A {}\n}'],
  ['async function f', '@async function f(): Promise<void> {}'],
  ['await', 'async function f(): Promise<void> {\n  @await 1\n}'],
  ['generator f: the stepped build makes the generators', '@function* f(): void {}'],
  ['yield: the stepped build makes the generators', 'function* f(): void {\n  @yield 1\n}'],
  ['try: errors are errno numbers', 'function f(): void {\n  @try {\n  } finally {\n  }\n}'],
  ['throw: errors are errno numbers', 'function f(): void {\n  @throw 1\n}'],
  ['spread', 'function f(p: number): void {\n  f(@...p)\n}'],
  ['spread', 'export const T = Object.freeze({ @...Object.freeze({ a: 1 }) })'],
  [
    'spread',
    "import type { Design } from '../design/design.ts'\nconst T = Object.freeze({ a: 1 })\nexport const U: Design = Object.freeze({ @...T })",
  ],
  ['spread', 'const T = Object.freeze([1])\nexport const U = Object.freeze([@...T])'],
  ['a rest parameter', 'function f(@...p: number[]): void {}'],
  ['destructuring', 'function f(p: number): void {\n  const @[a] = p\n}'],
  ['destructuring', 'function f(p: number): void {\n  const @{ a } = p\n}'],
  ['destructuring', 'function f(@{ a }: number): void {}'],
  ['destructuring', 'export const @[a] = Math.max(1)'],
  ['an object literal inside a function', 'function f(p: number): void {\n  f(@{})\n}'],
  ['an array literal inside a function', 'function f(p: number): void {\n  f(@[])\n}'],
  ['a string inside a function', "function f(p: number): void {\n  f(@'x')\n}"],
  ['a template literal', 'function f(p: number): void {\n  f(@`x`)\n}'],
  ['null inside a function', 'function f(p: number): void {\n  f(@null)\n}'],
  ['a BigInt', 'function f(p: number): void {\n  f(@1n)\n}'],
  ['a BigInt', 'export const a = @1n'],
  ['a regular expression', 'function f(p: number): void {\n  f(@/x/)\n}'],
  ['a regular expression', 'export const a = @/x/'],
  ['for-of', 'function f(p: number): void {\n  @for (const a of p) {}\n}'],
  ['for-in', 'function f(p: number): void {\n  @for (const a in p) {}\n}'],
  ['new', 'function f(p: number): void {\n  f(@new Int32Array(1))\n}'],
  ['new', 'export const a = @new Map()'],
  ['optional chaining', 'const T = Object.freeze({ a: 1 })\nfunction f(p: number): void {\n  f(@T?.a)\n}'],
  ['a getter or setter', 'export const a = Object.freeze({ @get b() { return 1 } })'],
  ['this', 'function f(p: number): void {\n  f(@this)\n}'],
  ['a comma expression', 'function f(p: number): void {\n  f((@p, 1))\n}'],
  ['a default parameter', 'function f(@p: number = 1): void {}'],
  ['a dynamic import', "function f(): void {\n  @import('x')\n}"],
  ['a module-level let', '@let a = 1'],
  ['a module-level var', '@var a = 1'],
  ['a local var', 'function f(): void {\n  @var a = 1\n}'],
  ["parameter 'p' is not ': number' or ': boolean'", 'function f(@p): void {}'],
  ["parameter 'p' is not ': number' or ': boolean'", 'function f(@p: string): void {}'],
  ["parameter 'p' is not ': number' or ': boolean'", 'function f(@p: number | boolean): void {}'],
  ['an optional parameter', 'function f(@p?: number): void {}'],
  ["local 'a' is not a number or boolean", 'function f(): void {\n  let @a: string\n}'],
  ["local 'a' is not a number or boolean", 'function f(): void {\n  let @a\n}'],
  ['f does not declare that it returns number, boolean or void', '@function f() {}'],
  ['f does not declare that it returns number, boolean or void', '@function f(): string {}'],
  ["an indirect call (of 'p')", 'function f(p: number): void {\n  @p(1)\n}'],
  ["an indirect call (of 'T')", 'const T = Object.freeze({ a: 1 })\nfunction f(): void {\n  @T(1)\n}'],
  ['an indirect call other than through the design', 'const T = Object.freeze({ a: 1 })\nfunction f(): void {\n  @T.a(1)\n}'],
  ['an indirect call other than through the design', "import { arch } from '../arch/arch.ts'\nfunction f(): void {\n  @arch.flush(1)\n}"],
  ["function 'f' as a value", 'function f(p: number): void {\n  f(@f)\n}'],
  ["table 'T' as a value", 'const T = Object.freeze({ a: 1 })\nfunction f(p: number): void {\n  f(@T)\n}'],
  ["a field of local 'p'", 'function f(p: number): void {\n  f(@p.length)\n}'],
  ["access to 'Atomics', which is neither declared nor imported", 'function f(p: number): void {\n  f(@Atomics)\n}'],
  ['an indirect call other than through the design', 'function f(p: number): void {\n  @Atomics.load(p, 1)\n}'],
  ['an indirect call other than through the design', 'function f(p: number): void {\n  @console.log(p)\n}'],
  ['an indirect call other than through the design', 'function f(p: number): void {\n  @performance.now()\n}'],
  ['an indirect call other than through the design', 'function f(p: number): void {\n  @Date.now()\n}'],
  ['an indirect call other than through the design', 'function f(p: number): void {\n  @Math.random()\n}'],
  ["access to 'Number'", 'function f(p: number): void {\n  f(@Number.MAX_VALUE)\n}'],
  ["access to 'globalThis'", 'function f(p: number): void {\n  f(@globalThis.x)\n}'],
  ["access to 'globalThis', which is neither declared nor imported", 'export const a = @globalThis'],
  ["access to 'SharedArrayBuffer', which is neither declared nor imported", 'function f(p: number): void {\n  f(@SharedArrayBuffer)\n}'],
  ["access to 'undefined', which is neither declared nor imported", 'function f(p: number): void {\n  f(@undefined)\n}'],
  ['access to the heap outside machine/', "@import { words } from '../machine/heap.ts'"],
  ["an import from outside src/kernel ('node:fs')", "@import { readFileSync } from 'node:fs'"],
  ["an import from outside src/kernel ('../../check/run.ts')", "@import { run } from '../../check/run.ts'"],
  ["an import without '.ts' ('./rcu.js')", "@import { rcuReadLock } from './rcu.js'"],
  ['an import for its effects', "@import './rcu.ts'"],
  ['a default or namespace import', "import @* as rcu from './rcu.ts'"],
  ['a default export', '@export default 1'],
  ['a statement at module level (ExpressionStatement)', "@Object.freeze('x')"],
  [
    'a call at module level other than struct, Object.freeze and Math',
    'export const a = @f(1)\nfunction f(p: number): number {\n  return p\n}',
  ],
  ['a table that is not frozen (Object.freeze)', 'export const a = @{ b: 1 }'],
  ['a table that is not frozen (Object.freeze)', 'export const a = Object.freeze({ b: @[1] })'],
  ['an assignment to something other than a local', "import { A } from './a.ts'\nfunction f(): void {\n  @A.b = 1\n}"],
  ['an assignment to something other than a local', 'const a = 1\nfunction f(): void {\n  @a++\n}'],
  ["'a' hides a module-level name", 'const a = 1\nfunction f(): void {\n  let @a = 2\n}'],
  ['a statement that is neither a call nor an assignment', 'function f(p: number): void {\n  @p === 0 && g()\n}\nfunction g(): void {}'],
  ["'??='", 'function f(p: number): void {\n  @p ??= 1\n}'],
  ['typeof', 'function f(p: number): void {\n  f(@typeof p)\n}'],
  ["'in'", 'function f(p: number): void {\n  f(@p in p)\n}'],
  ["'as' something other than number", 'function f(p: number): void {\n  f(@p as unknown)\n}'],
  ['TSNonNullExpression is not kernel code', 'function f(p: number): void {\n  f(@p!)\n}'],
  ['type parameters of f', 'function f@<T>(): void {}'],
  ['a namespace export', "@export * as a from './a.ts'"],
]

describe('each rule', () => {
  it.each(SAMPLES)('%s: %j', (reason, marked) => {
    const at = marked.indexOf('@')
    const text = marked.slice(0, at) + marked.slice(at + 1)
    const before = text.slice(0, at)
    const expected = `sync/sample.ts:${before.split('\n').length}:${at - before.lastIndexOf('\n')}: ${reason}`
    expect(checkKernelRules('sync/sample.ts', text).map(formatRefusal)).toContain(expected)
  })

  it('takes what is allowed', () => {
    const text = `import { design } from '../design/design.ts'
import { load, readOnce } from '../machine/instructions.ts'
import { struct } from '../machine/struct.ts'
export const Thing = struct({ a: 1, b: 2, c: { at: 'b' } })
const SIZES = Object.freeze([1, 2, 3])
const LIMIT = (1 << 30) | Math.max(1, 2)
export type Size = number
export function f(p: number, q: number): boolean {
  let best: number
  best = -1
  loop: for (let i = 0; i < LIMIT; i++) {
    const size = SIZES[i] as number
    if (load(p + Thing.c) === size || (readOnce(q) & 1) !== 0) continue loop
    switch (size) {
      case 1:
        best = design.handleFault(p, q, i)
        break
      default:
        break loop
    }
  }
  return best > 0 ? !f(p, best) : true
}
`
    expect(checkKernelRules('vma/sample.ts', text)).toEqual([])
    expect(checkKernelRules('machine/sample.ts', 'export let a = 1')).toEqual([])
    expect(checkKernelRules('design/design.ts', 'export let a = 1')).toEqual([])
  })
})

describe('across modules', () => {
  const modules = {
    'machine/instructions.ts': 'export function readOnce(p: number): number {\n  return p\n}',
    'design/design.ts': 'export interface Design {\n  readonly name: string\n  a(p: number): number\n}\nexport let design: Design',
    'sync/table.ts': 'export const Table = Object.freeze({ one: 1 })\nexport function plain(p: number): number {\n  return p\n}',
  }
  const refusals = (text: string): string[] => {
    const all = Object.entries({ ...modules, 'sync/sample.ts': text })
    return checkProgram(link(new Map(all.map(([path, source]) => [path, readModule(parseSource(path, source))])))).map(formatRefusal)
  }
  const importing = (names: string): string => `import { ${names} } from './table.ts'\n`
  it.each([
    ["'gone' is not exported by sync/table.ts", importing('gone')],
    ["function 'plain' as a value", `${importing('plain')}function f(p: number): void {\n  f(plain)\n}`],
    ["table 'Table' as a value", `${importing('Table')}function f(p: number): void {\n  f(Table)\n}`],
    ["an indirect call (of 'Table')", `${importing('Table')}function f(p: number): void {\n  Table(p)\n}`],
    [
      "the Design interface has no function 'b'",
      "import { design } from '../design/design.ts'\nfunction f(p: number): void {\n  design.b(p)\n}",
    ],
    [
      "the Design interface has no function 'b'",
      `import type { Design } from '../design/design.ts'\n${importing('plain')}export const d: Design = Object.freeze({ b: plain })`,
    ],
    [
      "design function 'a' must be the name of a function",
      "import type { Design } from '../design/design.ts'\nexport const d: Design = Object.freeze({ a: 1 })",
    ],
  ])('%s', (reason, text) => {
    expect(refusals(text).some((refusal) => refusal.endsWith(`: ${reason}`))).toBe(true)
  })
})
