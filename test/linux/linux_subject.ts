// The running Linux kernel as a subject: compiles driver.c with the machine's C compiler and talks to it.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { decodeAnswers } from './answer.ts'
import { type Answer, encode, type Operation, REGION, type Subject } from './operation.ts'

const SOURCE = fileURLToPath(new URL('./driver.c', import.meta.url))

/** Why the kernel underneath cannot be asked, or undefined if it can. */
export function missingForLinux(): string | undefined {
  if (process.platform !== 'linux') return `this is ${process.platform}, not Linux`
  if (process.arch !== 'x64') return `the driver's addresses are x86_64's, this is ${process.arch}`
  const compiler = process.env.CC ?? 'cc'
  if (spawnSync(compiler, ['--version']).status !== 0) return `no C compiler (${compiler}); set CC to name another`
  return undefined
}

/** The kernel's release as `uname -r` gives it. */
export function linuxRelease(): string {
  return spawnSync('uname', ['-r'], { encoding: 'utf8' }).stdout.trim()
}

/** Performs lists on Linux by way of the C driver, one at a time. */
export class LinuxSubject implements Subject {
  readonly name = 'Linux'
  /** True if the driver could put the program break into the region (PR_SET_MM_MAP). */
  canBrk = false
  readonly #directory = mkdtempSync(join(tmpdir(), 'gracewalk-linux-'))
  #child: ChildProcess | undefined
  #lines: Interface | undefined
  #pending: string[] = []
  #settle: { resolve: (lines: string[]) => void; reject: (error: Error) => void } | undefined
  #errors = ''

  /** Compiles and starts the driver. Throws with the compiler's or the driver's own message. */
  async start(): Promise<void> {
    const binary = join(this.#directory, 'driver')
    const compiled = spawnSync(process.env.CC ?? 'cc', ['-O2', '-o', binary, SOURCE], { encoding: 'utf8' })
    if (compiled.status !== 0) throw new Error(`driver.c does not compile:\n${compiled.stderr}`)
    const child = spawn(binary, [String(REGION.pages), String(REGION.brkPage)])
    this.#child = child
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text
    })
    child.on('exit', (code, signal) => this.#fail(`the driver ended (${signal ?? code}) ${this.#errors}`))
    child.stdin.on('error', () => this.#fail(`the driver does not read ${this.#errors}`))
    this.#lines = createInterface({ input: child.stdout })
    const ready = this.#answers((line) => line.startsWith('ready'))
    this.canBrk = (await ready).some((line) => line.includes('brk=1'))
  }

  async run(list: readonly Operation[]): Promise<Answer[]> {
    return decodeAnswers(list, await this.lines(list))
  }

  /** The driver's own lines for a list, one per operation. */
  async lines(list: readonly Operation[]): Promise<string[]> {
    const child = this.#child
    if (child?.stdin == null) throw new Error('the driver is not running')
    const answers = this.#answers((line) => line === '.')
    child.stdin.write(`${list.map(encode).join('\n')}\nE\n`)
    return (await answers).slice(0, -1)
  }

  async close(): Promise<void> {
    this.#child?.removeAllListeners('exit')
    this.#child?.stdin?.end()
    this.#lines?.close()
    this.#child?.kill()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  #fail(message: string): void {
    this.#settle?.reject(new Error(message))
    this.#settle = undefined
  }

  /** Collects lines up to the one that `last` accepts. */
  #answers(last: (line: string) => boolean): Promise<string[]> {
    this.#pending = []
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
      const take = (line: string): void => {
        this.#pending.push(line)
        if (!last(line)) return
        this.#lines?.off('line', take)
        this.#settle = undefined
        resolve(this.#pending)
      }
      this.#lines?.on('line', take)
    })
  }
}

/** A running driver, or the reason why there is none. Linux 6.18 is the reference; rules differ in others. */
export async function openLinux(): Promise<LinuxSubject | string> {
  const missing = missingForLinux()
  if (missing !== undefined) return missing
  if (!linuxRelease().startsWith('6.18.')) return `this is Linux ${linuxRelease()}, the reference is 6.18`
  const overcommit = readFileSync('/proc/sys/vm/overcommit_memory', 'utf8').trim()
  if (overcommit === '2') return 'vm.overcommit_memory is 2, which makes Linux ignore MAP_NORESERVE'
  const linux = new LinuxSubject()
  try {
    await linux.start()
    return linux
  } catch (error) {
    await linux.close()
    return String(error)
  }
}
