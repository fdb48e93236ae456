// The Linux side: compiles linux.c once and runs one measurement per process.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { LoopName } from './loop-names.ts'
import type { Measured } from './loops.ts'

/** The same loops on the kernel underneath. */
export interface Linux {
  /** Results of the threads of one measurement. */
  run(name: LoopName, threads: number, milliseconds: number, megabytes: number): Promise<Measured[]>
  close(): void
}

/** Compiles the loops with CC (cc). Returns what is missing, in words, where that is not possible. */
export function openLinux(): Linux | string {
  if (process.platform !== 'linux') return `no Linux underneath (${process.platform})`
  const compiler = process.env.CC ?? 'cc'
  const directory = mkdtempSync(join(tmpdir(), 'gracewalk-bench-'))
  const binary = join(directory, 'linux')
  const source = fileURLToPath(new URL('./linux.c', import.meta.url))
  const compiled = spawnSync(compiler, ['-O2', '-Wall', '-pthread', '-o', binary, source], { encoding: 'utf8' })
  if (compiled.status !== 0) {
    rmSync(directory, { recursive: true, force: true })
    return compiled.error === undefined
      ? `linux.c does not compile: ${compiled.stderr}`
      : `no C compiler (${compiler}); set CC to name another`
  }
  return {
    run: async (name, threads, milliseconds, megabytes) => {
      const output = await outputOf(binary, [name, String(threads), String(milliseconds), String(megabytes)])
      return output
        .trim()
        .split('\n')
        .map((line) => {
          const [operations = 0, wall = 0, cpu = 0] = line.split(' ').map(Number)
          return { operations, wall, cpu }
        })
    },
    close: () => rmSync(directory, { recursive: true, force: true }),
  }
}

/** Standard output of a program that succeeds; its error output is ours. */
function outputOf(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    child.on('error', reject)
    child.on('close', (code, signal) =>
      code === 0 ? resolve(output) : reject(new Error(`${args.join(' ')}: ended with ${signal ?? code}`)),
    )
  })
}
