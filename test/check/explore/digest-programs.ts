// Small programs for the test of digests, each with one thing in it that a digest could forget.
import { SCRATCH } from '../tiny-machine.ts'

const P = SCRATCH
const Q = SCRATCH + 1
const BLOCK = SCRATCH + 32

/** A program: source of functions, and for each CPU its calls, as name and arguments. */
export interface DigestProgram {
  readonly name: string
  readonly text: string
  readonly calls: readonly (readonly (readonly [name: string, ...args: number[]])[])[]
}

const flips = `export function flips(): number {
  writeOnce(${P}, 1)
  writeOnce(${P}, 0)
  writeOnce(${P}, 1)
  return 0
}`

export const DIGEST_PROGRAMS: readonly DigestProgram[] = [
  {
    name: 'a value on the left of an operator',
    text: `${flips}\nexport function f(): number {\n  return readOnce(${P}) * 10 + readOnce(${Q})\n}`,
    calls: [[['f']], [['flips']]],
  },
  {
    name: 'an argument',
    text: `${flips}\nfunction g(x: number, y: number): number {\n  return x * 10 + y\n}\nexport function f(): number {\n  return g(readOnce(${P}), readOnce(${Q}))\n}`,
    calls: [[['f']], [['flips']]],
  },
  {
    name: 'the left side of +=',
    text: `${flips}\nexport function f(): number {\n  let x = readOnce(${P})\n  x += readOnce(${Q})\n  return x\n}`,
    calls: [[['f']], [['flips']]],
  },
  {
    name: 'a local that is assigned while its old value waits',
    text: `${flips}\nfunction g(x: number, y: number): number {\n  return x * 10 + y\n}\nexport function f(): number {\n  let x = readOnce(${P})\n  return g(x, g((x = 2), readOnce(${Q}))) + x\n}`,
    calls: [[['f']], [['flips']]],
  },
  {
    name: 'what a switch compares',
    text: `${flips}\nexport function f(): number {\n  switch (readOnce(${P})) {\n    case readOnce(${Q}):\n      return 1\n    case readOnce(${Q}) + 1:\n      return 2\n  }\n  return 3\n}`,
    calls: [[['f']], [['flips']]],
  },
  {
    name: 'a local of a caller',
    text: `${flips}\nfunction g(): number {\n  return readOnce(${Q})\n}\nexport function f(): number {\n  const x = readOnce(${P})\n  const y = g()\n  return x * 10 + y\n}`,
    calls: [[['f']], [['flips']]],
  },
  {
    name: 'a local that only the next turn of a loop needs',
    text: `${flips}\nexport function f(): number {\n  let last = 0\n  let sum = 0\n  for (let i = 0; i < 2; i++) {\n    sum = sum * 10 + last\n    last = readOnce(${P})\n    writeOnce(${Q}, i)\n  }\n  return sum\n}`,
    calls: [[['f']], [['flips']]],
  },
  {
    name: 'a number of more than 32 bits, and a boolean',
    text: `${flips}\nexport function f(): number {\n  const x = 4294967296 * (readOnce(${P}) + 1) + 0.5\n  const y = readOnce(${P}) === 1\n  writeOnce(${Q}, 1)\n  return y ? x : -x\n}`,
    calls: [[['f']], [['flips']]],
  },
  {
    name: 'more locals than fit at once',
    text: `${flips}\nexport function f(): number {\n  const a = readOnce(${P})\n  const b = readOnce(${P})\n  const c = readOnce(${P})\n  const d = readOnce(${P})\n  const e = readOnce(${P})\n  const g = readOnce(${P})\n  writeOnce(${Q}, 1)\n  return a + b * 2 + c * 4 + d * 8 + e * 16 + g * 32\n}`,
    calls: [[['f']], [['flips']]],
  },
  {
    name: 'results of calls',
    text: `${flips}\nexport function f(): number {\n  return readOnce(${P})\n}`,
    calls: [[['f'], ['f']], [['flips']]],
  },
  {
    name: 'which call it is',
    text: 'export function f(): number {\n  writeOnce(PLACE, 1)\n  writeOnce(PLACE, 0)\n  return 0\n}'.replaceAll('PLACE', String(P)),
    calls: [[['f'], ['f']], [['f']]],
  },
  {
    name: 'what a loop that waits has seen',
    text: `${flips}\nexport function f(): number {\n  while (readOnce(${Q}) < 1) {\n    if (readOnce(${P}) === 5) return 5\n    relax()\n  }\n  return 1\n}\nexport function ends(): number {\n  writeOnce(${Q}, 1)\n  return 0\n}`,
    calls: [[['f']], [['flips'], ['ends']]],
  },
  {
    name: 'a loop that waits inside another, left by jumps',
    text: `${flips}\nfunction waits(): number {\n  outer: while (readOnce(${Q}) < 2) {\n    for (;;) {\n      const x = readOnce(${P})\n      if (x === 1) return 7\n      if (readOnce(${Q}) === 1) continue outer\n      relax()\n    }\n    relax()\n  }\n  return 1\n}\nexport function f(): number {\n  return waits() * 10 + readOnce(${P})\n}`,
    calls: [[['f'], ['f']], [['flips']]],
  },
  {
    name: 'a loop that counts its turns',
    text: `${flips}\nexport function f(): number {\n  let turns = 0\n  while (readOnce(${P}) !== 7 && turns < 3) {\n    turns++\n    relax()\n  }\n  return turns\n}`,
    calls: [[['f']], [['flips']]],
  },
  {
    name: 'whether a turn wrote or found what it wanted',
    text: `export function f(): number {\n  while (readOnce(${Q}) === 0) {\n    xchg(${P}, 1)\n    relax()\n  }\n  return 0\n}\nexport function g(): number {\n  writeOnce(${P}, 1)\n  writeOnce(${Q}, 1)\n  return 0\n}`,
    calls: [[['f']], [['g']]],
  },
  {
    name: 'how the turn before ended',
    text: `${flips}\nexport function f(): number {\n  let seen = 0\n  while (readOnce(${Q}) === 0) {\n    seen = readOnce(${P})\n    relax()\n  }\n  return seen\n}\nexport function ends(): number {\n  writeOnce(${Q}, 1)\n  return 0\n}`,
    calls: [[['f']], [['flips'], ['ends']]],
  },
  {
    name: 'who sleeps, in which order, and who was woken',
    text: `export function sleeps(value: number): number {\n  futexWait(${P}, 0)\n  return value + readOnce(${Q})\n}\nexport function wakes(): number {\n  futexWake(${P}, 1)\n  writeOnce(${Q}, 1)\n  futexWake(${P}, 1)\n  return 0\n}`,
    calls: [[['sleeps', 10]], [['sleeps', 20]], [['wakes']]],
  },
  {
    name: 'pages that are copied and zeroed',
    text: `${flips}\nexport function f(): number {\n  store(${BLOCK}, readOnce(${P}))\n  copyPage(${BLOCK + 8}, ${BLOCK}, 8)\n  zeroPage(${BLOCK}, 8)\n  writeOnce(${Q}, 1)\n  if (readOnce(${P}) === 1) zeroPage(${BLOCK + 8}, 8)\n  writeOnce(${Q}, 0)\n  return load(${BLOCK + 8})\n}`,
    calls: [[['f']], [['flips']]],
  },
  {
    name: 'a grace period beside a reader',
    text: `export function waits(): number {\n  setContext(Mode.kernel)\n  synchronizeRcu()\n  setContext(Mode.outside)\n  return readOnce(${P})\n}\nexport function reads(): number {\n  setContext(Mode.kernel)\n  rcuReadLock()\n  const x = readOnce(${P})\n  rcuReadUnlock()\n  setContext(Mode.outside)\n  writeOnce(${P}, x + 1)\n  return x\n}`,
    calls: [[['waits']], [['reads']]],
  },
  {
    name: 'two grace periods side by side',
    text: `export function waits(): number {\n  setContext(Mode.kernel)\n  synchronizeRcu()\n  setContext(Mode.outside)\n  return readOnce(${P})\n}`,
    calls: [[['waits']], [['waits']]],
  },
]

/** What every program imports. */
export const DIGEST_HEAD = `import { Mode, setContext } from '../machine/entry.ts'
import { copyPage, futexWait, futexWake, load, readOnce, relax, store, writeOnce, xchg, zeroPage } from '../machine/instructions.ts'
import { rcuReadLock, rcuReadUnlock, synchronizeRcu } from './rcu.ts'
`
