// Random kernel source: functions that compute with a few locals and a few shared words, with steps anywhere in expressions,
// loops, switches and calls of each other. Values stay small, so that different ways often lead to one state.
import type { randomNumbers } from '../../../src/check/explore/random.ts'
import { SCRATCH } from '../tiny-machine.ts'

const SHARED = 2

/** Source of a module that exports `task0` … and their helper. */
export function randomSource(random: ReturnType<typeof randomNumbers>, tasks: number): string {
  const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T
  const word = (): string => String(SCRATCH + random(SHARED))
  let loops = 0

  const expression = (depth: number, locals: readonly string[]): string => {
    const sub = (): string => expression(depth - 1, locals)
    // Without locals nothing is assigned either.
    if (depth === 0) return random(3) === 0 || locals.length === 0 ? String(random(3)) : pick(locals)
    switch (random(12)) {
      case 0:
        return `readOnce(${word()})`
      case 1:
        return `(${sub()} + ${sub()})`
      case 2:
        return `(${sub()} ^ ${sub()})`
      case 3:
        return `helper(${sub()}, ${sub()})`
      case 4:
        return `(${sub()} > 1 ? ${sub()} : ${sub()})`
      case 5:
        return `((${sub()} & 1) !== 0 && ${sub()} > 0 ? 1 : 0)`
      case 6:
        return locals.length === 0 ? sub() : `(${pick(locals)} = ${sub()} & 3)`
      case 7:
        return `xchg(${word()}, ${sub()} & 1)`
      case 8:
        return `(load(${SCRATCH + 8} + ${sub()}) & 3)`
      case 9:
        return `Math.min(${sub()}, ${sub()})`
      default:
        return expression(0, locals)
    }
  }
  const block = (depth: number, locals: readonly string[], inLoop: string): string => {
    const inner = [...locals]
    return Array.from({ length: 1 + random(2) }, () => statement(depth, inner, inLoop)).join('\n')
  }
  const statement = (depth: number, locals: string[], inLoop: string): string => {
    const value = (): string => expression(2, locals)
    switch (random(depth > 0 ? 14 : 6)) {
      case 0:
      case 1:
        return `${pick(locals)} = ${value()} & 3`
      case 2:
        return `${pick(locals)} ${pick(['+=', '^=', '-='])} ${expression(2, [])} & 3`
      case 3:
        return `writeOnce(${word()}, ${value()} & 1)`
      case 4:
        return `store(${SCRATCH + 16} + (${value()} & 3), ${value()} & 3)`
      case 5:
        return inLoop === ''
          ? `${pick(locals)}++`
          : `if (${value()} > 2) ${pick(['break', 'continue', `break ${inLoop}`, `continue ${inLoop}`])}`
      case 6:
        return `if (${value()} > 1) {\n${block(depth - 1, locals, inLoop)}\n} else {\n${block(depth - 1, locals, inLoop)}\n}`
      case 7:
      case 8: {
        const i = `i${loops++}`
        return `l${i}: for (let ${i} = 0; ${i} < ${1 + random(2)}; ${i}++) {\n${block(
          depth - 1,
          [...locals, i].filter((name) => name !== i),
          `l${i}`,
        )}\n}`
      }
      case 9: {
        const i = `i${loops++}`
        return `let ${i} = ${1 + random(2)}\nl${i}: do {\n${block(depth - 1, locals, '')}\n} while (${value()} > 1 && ${i}-- > 0)`
      }
      case 10:
        return `switch (${value()} & 3) {\ncase ${value()}:\n${block(depth - 1, locals, '')}\n${pick(['break', ''])}\ncase 1:\n${block(depth - 1, locals, '')}\nbreak\ndefault:\n${block(depth - 1, locals, '')}\n}`
      case 11:
        return `${pick(['irqSave()', `futexWake(${word()}, 1)`, `sendIpi(${random(tasks)})`, `smpMb()`])}${'\n'}${pick(locals)} = 0`
      case 12: {
        const name = `v${loops++}`
        const text = `const ${name} = ${value()}\n${pick(locals)} = ${value()} & ${name}`
        return text
      }
      default:
        return `while (readOnce(${word()}) === ${2 + random(2)}) relax()`
    }
  }
  const task = (number: number): string =>
    `export function task${number}(a: number, b: number): number {\nlet c = 0\n${Array.from({ length: 3 + random(2) }, () => statement(2, ['a', 'b', 'c'], '')).join('\n')}\nreturn a + ${expression(2, ['a', 'b', 'c'])}\n}`
  return `import { futexWake, irqRestore, irqSave, load, readOnce, relax, sendIpi, smpMb, store, thisCpu, writeOnce, xchg } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
function helper(x: number, y: number): number {
  if (x > 2) return y
  return (x + (y > 1 ? readOnce(${SCRATCH}) : 1)) & 3
}
export function answer(): void {
  const requests = readOnce(thisCpu() + Cpu.ipiRequests)
  writeOnce(${SCRATCH + 1}, requests & 1)
  writeOnce(thisCpu() + Cpu.ipiAcks, requests)
  if (requests > 100) irqRestore()
}
${Array.from({ length: tasks }, (_, i) => task(i)).join('\n')}
`
}
