// Command line of the comparison with Linux: parameters, progress, verdict. Exit code 0 if all agree, 1 on
// a difference, 2 if the arguments or the machine do not fit.

import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import fc from 'fast-check'
import { firstDifference } from './answer.ts'
import { CASES } from './cases.ts'
import { answersOf, compare } from './compare.ts'
import { drawnLists } from './draw.ts'
import { concrete } from './generator.ts'
import { type LinuxSubject, linuxRelease, openLinux } from './linux_subject.ts'
import { decode, type Operation, type Subject } from './operation.ts'
import { writeRecording } from './recording.ts'
import { report } from './report.ts'
import { SUBJECTS } from './subjects.ts'

const USAGE = `usage: npm run test:linux -- [--ops N] [--seed N] [--length N] [--subject NAME] [--list FILE] [--record FILE]
  --ops N         operations that must agree (100000)
  --seed N        where the generator starts (random)
  --length N      longest list (100)
  --subject NAME  what is compared with Linux: ${Object.keys(SUBJECTS).join(', ')}; several with commas, or all (oracle)
  --list FILE     compare one list instead: driver lines, as a report prints them
  --record FILE   write Linux's answers to generated lists, for machines that cannot ask it`

interface Settings {
  readonly operations: number
  readonly seed: number
  readonly maxLength: number
}

function progressTo(total: number): (done: number) => void {
  let last = 0
  return (done) => {
    if (!process.stderr.isTTY || (done < total && Date.now() - last < 200)) return
    last = Date.now()
    process.stderr.write(`\r${done} of ${total} operations agree${done < total ? '' : '\n'}`)
  }
}

async function compareGenerated(linux: LinuxSubject, subject: Subject, settings: Settings): Promise<number> {
  const without: Operation['kind'][] = linux.canBrk ? [] : ['brk']
  const { operations, seed } = settings
  console.log(`${subject.name} against Linux ${linuxRelease()}, seed ${seed}${linux.canBrk ? '' : ', without brk'}`)
  const started = Date.now()
  const progress = progressTo(operations)
  const { mix, difference } = await compare({ reference: linux, subject, ...settings, without, progress })
  console.log(`${mix}\nin ${((Date.now() - started) / 1000).toFixed(1)} s`)
  console.log(difference === undefined ? 'no difference' : `\nDIFFERENCE: ${difference}`)
  return difference === undefined ? 0 : 1
}

async function compareList(linux: LinuxSubject, subject: Subject, path: string): Promise<number> {
  const text = readFileSync(path, 'utf8').split('\n')
  const list = text.filter((line) => line.trim() !== '').map(decode)
  const { left, right } = await answersOf(list, linux, subject)
  console.log(report(list, [linux.name, subject.name], left, right))
  return firstDifference(left, right) < 0 ? 0 : 1
}

async function record(linux: LinuxSubject, path: string, settings: Settings): Promise<number> {
  const entries: { list: Operation[]; lines: string[] }[] = []
  for (const list of Object.values(CASES)) entries.push({ list: [...list], lines: await linux.lines(list) })
  let done = 0
  for (let seed = settings.seed; done < settings.operations; seed++) {
    const [drawn] = fc.sample(fc.noBias(drawnLists(settings.maxLength)), { seed, numRuns: 1 })
    if (drawn === undefined) break
    const list = concrete(drawn)
    if (list.length === 0) continue
    entries.push({ list, lines: await linux.lines(list) })
    done += list.length
  }
  writeRecording(path, linuxRelease(), entries)
  console.log(`${done} generated operations, ${entries.length} lists recorded in ${path}`)
  return 0
}

/** Runs what the arguments ask for; returns the exit code. */
export async function main(argv: string[]): Promise<number> {
  const text = { type: 'string' } as const
  const options = { ops: text, seed: text, length: text, subject: text, list: text, record: text }
  const { values } = parseArgs({ args: argv, options })
  const operations = Number(values.ops ?? 100_000)
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
  const maxLength = Number(values.length ?? 100)
  const wanted = values.subject ?? 'oracle'
  const names = wanted === 'all' ? Object.keys(SUBJECTS) : wanted.split(',')
  if (names.some((name) => SUBJECTS[name] === undefined) || [operations, seed, maxLength].some((n) => !Number.isInteger(n) || n < 0)) {
    console.error(USAGE)
    return 2
  }
  const linux = await openLinux()
  if (typeof linux === 'string') {
    console.error(`cannot ask Linux: ${linux}`)
    return 2
  }
  try {
    if (values.record !== undefined) return await record(linux, values.record, { operations, seed, maxLength })
    let worst = 0
    for (const name of names) {
      const subject = await SUBJECTS[name]?.()
      if (subject === undefined) continue
      const settings = { operations, seed, maxLength }
      const compared = values.list === undefined ? compareGenerated(linux, subject, settings) : compareList(linux, subject, values.list)
      worst = Math.max(worst, await compared)
      await subject.close?.()
    }
    return worst
  } finally {
    await linux.close()
  }
}
