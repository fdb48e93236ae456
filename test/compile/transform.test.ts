// The transformation on small pieces of source: what becomes of the text, and that it means the same.
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { openTree, roundRobinScheduler, run, type Task, type Tree } from '../../src/check/index.ts'
import { readBuiltKernel, stepSource } from '../../src/compile/build.ts'
import { SourceRefused } from '../../src/compile/source.ts'
import { layOut, openTiny, SCRATCH, type Tiny } from '../check/tiny-machine.ts'

let tree: Tree
let tiny: Tiny
beforeAll(async () => {
  tiny = await openTiny()
  tree = tiny.tree
})

const kernel = readBuiltKernel()
const HEAD = `import { atomicAdd, cmpxchg, load, mightStep, readOnce, store, thisCpu, writeOnce } from '../machine/instructions.ts'\n`

/** Compiles `body` and gives what follows the import. */
function compile(
  body: string,
  imports = "import { cmpxchg, irqSave, load, readOnce, store, thisCpu, writeOnce } from '../machine/instructions.ts'",
): string {
  const { code } = stepSource('sync/snippet.ts', `${imports}\n${body}`, kernel, 1)
  return code.slice(code.indexOf('\n') + 1)
}

/** The same without what hashes frames: of each hash only the place is left, of calls nothing. */
function plainly(body: string, imports?: string): string {
  return compile(body, imports)
    .replaceAll(/ let \$0 = [^;]*;/g, '')
    .replace(/\n?\$compiled\(.*\)$/, '')
    .replaceAll(/\$keep\d\(\$0, \$1, (-?\d+)[^()]*\)/g, (_, place: string) => (Math.abs(Number(place)) > 1000 ? '' : place))
    .replaceAll(/, \)/g, ')')
}

describe('text', () => {
  it.each([
    [
      'a step in an expression',
      'function f(p: number): number {\n  return readOnce(p) + 1\n}',
      'function* f(p) {\n  return (yield readOnce(p, 1)) + 1\n}',
    ],
    [
      'a step as a statement has no parenthesis',
      'function f(p: number): void {\n  let x = p\n  writeOnce(x, 1)\n  x++\n}',
      'function* f(p) {\n  let x = p\n  yield writeOnce(x, 1, 1)\n  x++\n}',
    ],
    [
      'steps inside steps',
      'function f(p: number): void {\n  writeOnce(readOnce(p), readOnce(p + 1))\n}',
      'function* f(p) {\n  yield writeOnce(($t0 = (yield readOnce(p, 1))), (yield readOnce(p + 1, 2)), 3)\n}',
    ],
    [
      'what is no step only gets its place',
      'function f(p: number): void {\n  store(p, load(thisCpu() + p))\n}',
      'function f(p) {\n  store(p, load(thisCpu() + p, 1), 2)\n}',
    ],
    ['no operands', 'function f(): void {\n  irqSave()\n}', 'function* f() {\n  yield irqSave(1)\n}'],
    [
      'a trailing comma',
      'function f(p: number): number {\n  return cmpxchg(\n    p,\n    0,\n    (1 + p),\n  )\n}',
      'function* f(p) {\n  return (yield cmpxchg(\n    p,\n    0,\n    (1 + p), 1,\n  ))\n}',
    ],
    [
      'a function that steps through another, whatever the order',
      'export function g(p: number): boolean {\n  return f(p) === 0 && h(p) === 1\n}\nfunction f(p: number): number {\n  return readOnce(p)\n}\nfunction h(p: number): number {\n  return p\n}',
      'export function* g(p) {\n  return (yield* f(p)) === 0 && h(p) === 1\n}\nfunction* f(p) {\n  return (yield readOnce(p, 1))\n}\nfunction h(p) {\n  return p\n}',
    ],
    [
      'recursion',
      'function f(p: number): number {\n  return p === 0 ? readOnce(p) : f(p - 1)\n}',
      'function* f(p) {\n  return p === 0 ? (yield readOnce(p, 1)) : (yield* f(p - 1))\n}',
    ],
    [
      'types',
      'export interface A {\n  x: number\n}\ntype B = A\nexport const t = Object.freeze({ a: 1 } as const satisfies object)\nfunction f(p: number): number {\n  const q: number = load(p) as number\n  return q\n}',
      '\n\n\n\nexport const t = Object.freeze({ a: 1 })\nfunction f(p) {\n  const q = load(p, 1)\n  return q\n}',
    ],
  ])('%s', (_name, from, to) => {
    expect(plainly(from)).toBe(to)
  })

  it('keeps every line where it was and says file, line, column and function of each place', () => {
    const text = `${HEAD.replace(' mightStep,', '')}\nexport function f(p: number): number {\n  const a = readOnce(p)\n  return a === 0 ? cmpxchg(p, 0, 1) : 0\n}\n`
    const { code, sites, map } = stepSource('sync/snippet.ts', text, kernel, 100)
    expect(code.split('\n')).toHaveLength(text.split('\n').length)
    expect(sites).toEqual([
      { file: 'sync/snippet.ts', line: 4, column: 13, function: 'f', instruction: 'readOnce' },
      { file: 'sync/snippet.ts', line: 5, column: 20, function: 'f', instruction: 'cmpxchg' },
    ])
    expect(code).toContain('readOnce(p, $keep1($0, $1, 100, p))')
    expect(JSON.parse(map)).toMatchObject({ version: 3, sources: ['sync/snippet.ts'] })
  })

  it('makes every function of a design a generator, and every call through it', () => {
    const imports = "import { type Design, design } from '../design/design.ts'"
    const code = plainly(
      'function nothing(vma: number): void {}\nexport const mine = Object.freeze({ name: "mine", vmaInit: nothing }) as unknown as Design\nexport function use(vma: number): void {\n  design.vmaInit(vma)\n}',
      imports,
    )
    expect(code).toContain('function* nothing(vma)')
    expect(code).toContain('yield* design.vmaInit(vma)')
  })

  it('hashes the locals that are still needed where a frame stops, and the values that wait', () => {
    const code = compile(
      'function g(x: number): number {\n  return readOnce(x)\n}\nexport function f(p: number, q: number): number {\n  const a = g(q)\n  const cpu = thisCpu()\n  let i = 0\n  while (i < a) i += g(p)\n  return load(p) + g(cpu + i)\n}',
    ).replaceAll(/-?\d{4,}/g, 'N')
    expect(code).toContain('return (yield readOnce(x, $keep0($0, $1, 1)))')
    expect(code).toContain('const a = (yield* g(q, $keep1($0, $1, N, p)))')
    expect(code).toContain('while (i < a) i += (yield* g(p, $keep3($0, $1, N, a, i, p)))')
    expect(code).toContain('return ($t0 = load(p, 2)) + (yield* g(cpu + i, $keep1($0, $1, N, $t0)))')
    expect(code).toContain('$compiled(g, f)')
  })

  it('marks loops that wait, and the ways out of them', () => {
    const imports = "import { readOnce, relax } from '../machine/instructions.ts'"
    const code = plainly(
      'function f(p: number): number {\n  outer: for (;;) {\n    for (let i = 0; ; i++) {\n      if (readOnce(p) === i) return i\n      if (i === 9) continue outer\n      relax()\n    }\n  }\n}\nfunction g(p: number): void {\n  while (readOnce(p) === 0) relax()\n}',
      imports,
    )
    expect(code).toContain('    { $spinBegins(0); for (let i = 0; ; i++) {')
    expect(code).toContain('return $spinEnds(i)')
    expect(code).toContain('if (i === 9) { $spinEnds(0); continue outer }')
    expect(code).toContain('  { $spinBegins(1); while ((yield readOnce(p, 3)) === 0) yield relax(4); $spinEnds(0) }')
  })

  it('knows an attempt to lock that does nothing but wait, by its shape', () => {
    const spinlock = readFileSync(new URL('../../src/kernel/sync/spinlock.ts', import.meta.url), 'utf8')
    const waiting = (text: string): string[] =>
      stepSource('sync/spinlock.ts', text, kernel, 1)
        .sites.filter((site) => site.waits)
        .map((site) => site.function)
    expect(waiting(spinlock)).toEqual(['spinLock'])
    for (const [from, to] of [
      ['while (readOnce(lock) !== 0) relax()', 'while (readOnce(lock) === 1) relax()'],
      ['while (cmpxchg(lock, 0, 1) !== 0)', 'while (cmpxchg(lock, 0, 2) !== 0)'],
      ['if (cmpxchg(lock, 0, 1) !== 0) spinLockSlow(lock)', 'if (cmpxchg(lock, 0, 1) !== 0) lockAcquired(lock, 0)'],
      ['while (readOnce(lock) !== 0) relax()', 'writeOnce(lock + 1, 1)'],
    ] as const) {
      expect(spinlock).toContain(from)
      expect(waiting(spinlock.replace(from, to).replace('smpStoreRelease }', 'smpStoreRelease, writeOnce }'))).toEqual([])
    }
  })

  it('refuses what it could not tell the state of', () => {
    const refuse = (body: string): unknown => compile(body, "import { readOnce, relax } from '../machine/instructions.ts'")
    expect(() => refuse('function f(): void {\n  relax()\n}')).toThrow(/snippet\.ts:3:3: relax outside a loop/)
    expect(() => refuse('function f(p: number): void {\n  if (readOnce(p) > 0) {\n    const p = 1\n    readOnce(p)\n  }\n}')).toThrow(
      /snippet\.ts:4:11: local 'p' hides another local/,
    )
    expect(() =>
      refuse(
        'function g(x: number): number {\n  return x\n}\nfunction f(p: number): void {\n  let x = p\n  x += g((x = 1)) + readOnce(p)\n}',
      ),
    ).toThrow(/assigned again while it waits/)
  })

  it('refuses what it does not know, with file, line and column', () => {
    expect(() => compile('export enum E {\n  a,\n}')).toThrow(/^sync\/snippet\.ts:2:/)
    expect(() => stepSource('sync/snippet.ts', 'export enum E { a }', kernel, 1, { ignoreRules: true })).toThrow(SourceRefused)
    expect(() => stepSource('sync/snippet.ts', 'export const = 1', kernel, 1)).toThrow(SourceRefused)
    expect(() => compile('', HEAD)).toThrow(/'mightStep' is not exported by machine\/instructions\.ts/)
  })
})

describe('meaning', () => {
  const text = `import { load, readOnce, store, writeOnce } from '../machine/instructions.ts'
const Table = Object.freeze({ three: 3 })

function pop(p: number): number {
  const value = readOnce(p)
  writeOnce(p, value + 1)
  return value
}

/** Operands from left to right, locals read before a step stay what they were. */
export function order(p: number): number {
  let x = 100
  x += pop(p) * 10 + pop(p)
  let y = x
  y = y - pop(p) - (x = 1000)
  return x + y * 10_000
}

export function short(p: number): number {
  let hits = 0
  if (readOnce(p) !== 0 && pop(p) === 99) hits++
  if (readOnce(p) === 0 || pop(p) === 99) hits += 10
  return hits * 100 + load(p)
}

export function loops(p: number): number {
  let total = 0
  outer: for (let i = pop(p); i < Table.three + pop(p + 1); i++) {
    for (;;) {
      if (pop(p) % 2 === 0) continue outer
      if (pop(p) > 7) break outer
      total++
    }
  }
  do total += Math.imul(pop(p), 3)
  while (pop(p) < 20)
  switch (pop(p) & 3) {
    case pop(p + 2):
      total += 1000
      break
    case 1:
      total += 2000
    default:
      total += 4000
  }
  return total
}

export function sum(n: number, p: number): number {
  return n === 0 ? readOnce(p) : pop(p) + sum(n - 1, p)
}

export function swap(p: number): void {
  store(p, load(p) ^ readOnce(p + 1))
}
`
  interface Snippet {
    order(p: number): number
    short(p: number): number
    loops(p: number): number
    sum(n: number, p: number): number
    swap(p: number): void
  }

  it('is that of the source', async () => {
    const stepped = (await tree.load<Snippet>('sync/meaning.ts', text)) as unknown as Record<string, (...args: number[]) => unknown>
    // The source itself, with accesses to a plain array.
    const words = new Int32Array(8192 * 4)
    const native = plain<Record<string, (...args: number[]) => unknown>>(text, words)
    const machine = tiny.machine(1)
    for (let start = 0; start < 30; start++) {
      for (const [name, args] of [
        ['order', [SCRATCH]],
        ['short', [SCRATCH]],
        ['loops', [SCRATCH]],
        ['sum', [start, SCRATCH]],
        ['swap', [SCRATCH]],
      ] as const) {
        layOut(machine.words, 1)
        words.fill(0)
        for (const w of [machine.words, words]) w.set([start, start >> 1, start & 3], SCRATCH)
        const outcome = run(machine, [(() => stepped[name]?.(...args)) as Task], roundRobinScheduler())
        expect(outcome.message).toBe('')
        expect(outcome.results[0], `${name} ${start}`).toBe(native[name]?.(...args))
        expect(machine.words.slice(SCRATCH, SCRATCH + 8)).toEqual(words.slice(SCRATCH, SCRATCH + 8))
      }
    }
  })

  /** Runs kernel source as it is, without the stepped build: types stripped by hand. */
  function plain<T>(source: string, words: Int32Array): T {
    const js = source
      .replace(/^import.*$/m, '')
      .replaceAll(/: (?:number|void)\b/g, '')
      .replaceAll('export ', '')
    const make = new Function('load', 'store', 'readOnce', 'writeOnce', `${js}\nreturn { order, short, loops, sum, swap }`)
    const read = (p: number): number => words[p] as number
    const write = (p: number, value: number): void => {
      words[p] = value
    }
    return make(read, write, read, write) as T
  }
})

it('can run two kernels in one thread', async () => {
  const other = await openTree()
  expect(other.heap).toBe(tree.heap) // the same directory is the same kernel
  const native = await import('../../src/kernel/machine/heap.ts')
  expect(native.words).not.toBe(tree.heap.words)
})
