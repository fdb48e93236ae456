// The command line of `npm run bench`.
import { parseArgs } from 'node:util'
import { architectures } from '../src/kernel/arch/architectures.ts'
import { designs } from '../src/kernel/design/designs.ts'
import { soundArchitectures } from '../src/machine/shape.ts'
import { AGAINST_MMAP_LOCK, type AgainstMmapLock, LOOPS, type LoopName } from './loop-names.ts'

/** What is measured beside the loops, and under which forms of designs too where none are named. */
const LATENCY = 'munmap_latency'
const LATENCY_FORMS = ['srcu-sync']

/** Everything that can be measured, by name. */
const MEASURED = [...Object.keys(LOOPS), LATENCY, ...AGAINST_MMAP_LOCK]

/** The designs that are measured where none are named: no forms and no drafts. */
const USUAL = designs.flatMap(({ name, formOf, draft }) => (formOf === undefined && draft !== true ? [name] : []))

export const HELP = `npm run bench -- [options]

  --only NAME,...      loops to run (${MEASURED.join(', ')}; a part of a name will do)
  --designs NAME,...   ${designs.map((d) => d.name).join(', ')} (all but forms and drafts)
  --archs NAME,...     ${architectures.map((a) => a.name).join(', ')} (x86_64)
  --threads N,...      (1,2)
  --rounds N           turns of ours and Linux's (9)
  --milliseconds N     time of one turn (300)
  --megabytes N        size of the large mappings (128)
  --no-linux           our side alone
  --page-tables FILE   no loops: the memory of page tables for one recording, on --archs (all but drafts)
  --quick              3 short rounds with 32 MB, to see that it works
  --json               results as JSON, with every round`

export interface Options {
  readonly loops: readonly LoopName[]
  readonly designs: readonly string[]
  /** Designs under which the time of munmap is measured: none if that was not asked for. */
  readonly latencyDesigns: readonly string[]
  /** The loops that compare designs with mmap-lock, and the designs: never drafts, which may map what is not there any more. */
  readonly comparisons: readonly AgainstMmapLock[]
  readonly comparedDesigns: readonly string[]
  readonly archs: readonly string[]
  readonly threads: readonly number[]
  readonly rounds: number
  readonly milliseconds: number
  readonly megabytes: number
  readonly linux: boolean
  /** A recording of which only the page tables are measured, with the first of `designs`. */
  readonly pageTables: string | undefined
  readonly json: boolean
}

/** Reads the arguments. Returns a message instead where they make no sense, or the help. */
export function readOptions(args: readonly string[]): Options | { readonly message: string; readonly code: number } {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean', default: false } as const
  const options = {
    only: text,
    designs: text,
    archs: text,
    threads: text,
    rounds: text,
    milliseconds: text,
    megabytes: text,
    'no-linux': flag,
    'page-tables': text,
    quick: flag,
    json: flag,
    help: { ...flag, short: 'h' },
  }
  try {
    const { values } = parseArgs({ args: [...args], options })
    if (values.help) return { message: HELP, code: 0 }
    const list = (value: string | undefined, all: readonly string[]): string[] => {
      if (value === undefined || value === 'all') return [...all]
      const chosen = all.filter((name) =>
        value.split(',').some((part) => name === part || (part.length > 3 && !all.includes(part) && name.includes(part))),
      )
      if (chosen.length === 0) throw new Error(`'${value}' is none of ${all.join(', ')}`)
      return chosen
    }
    const number = (value: string | undefined, usual: number): number => {
      const n = Number(value ?? usual)
      if (!Number.isInteger(n) || n < 1) throw new Error(`'${value}' is not a number above 0`)
      return n
    }
    const only = list(values.only, MEASURED)
    const named = designs.map((d) => d.name)
    const chosen = list(values.designs ?? USUAL.join(','), named)
    return {
      loops: only.filter((name): name is LoopName => Object.hasOwn(LOOPS, name)),
      latencyDesigns: only.includes(LATENCY) ? list(values.designs ?? [...USUAL, ...LATENCY_FORMS].join(','), named) : [],
      comparisons: AGAINST_MMAP_LOCK.filter((name) => only.includes(name)),
      comparedDesigns: chosen.filter((name) => designs.find((d) => d.name === name)?.draft !== true),
      designs: chosen,
      archs: list(
        values.archs ?? (values['page-tables'] === undefined ? 'x86_64' : soundArchitectures.map(({ name }) => name).join(',')),
        architectures.map((a) => a.name),
      ),
      threads: (values.threads ?? '1,2').split(',').map((n) => number(n, 1)),
      rounds: number(values.rounds, values.quick ? 3 : 9),
      milliseconds: number(values.milliseconds, values.quick ? 60 : 300),
      megabytes: number(values.megabytes, values.quick ? 32 : 128),
      linux: !values['no-linux'],
      pageTables: values['page-tables'],
      json: values.json,
    }
  } catch (error) {
    return { message: `${(error as Error).message}\n\n${HELP}`, code: 2 }
  }
}
