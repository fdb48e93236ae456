#!/usr/bin/env node
// The command line: finds the command, reads its options, turns errors into one sentence and an exit code.
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { cac } from 'cac'
import { DesignFileError } from '../compile/design-file.ts'
import { MachineOptionError } from '../machine/shape.ts'
import { ScenarioError } from '../scenario/runner/errors.ts'
import { TraceError } from '../trace/errors.ts'
import { ReplayStalled } from '../workload/replay/rounds.ts'
import { ablateCommand, ablateOptions } from './ablate-command.ts'
import { checkCommand } from './check-command.ts'
import { checkOptions } from './check-options.ts'
import { matrixCommand, matrixOptions } from './matrix-command.ts'
import type { RawOptions } from './option-values.ts'
import { runCommand } from './run-command.ts'
import { runOptions } from './run-options.ts'
import { surviveClosedPipes } from './terminal.ts'
import { Exit, suggestion, UsageError } from './usage-error.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
const EXAMPLES = [
  'run examples/recordings/threads.tracepoints.perf-script.gz',
  'run examples/recordings/redis.tracepoints.perf-script.gz --design vma-lock --arch x86_64 --cpus 1',
  'run examples/recordings/gcc.strace --touch all --page-map round --json',
  'check --list',
  'check fault-vs-munmap --design vma-lock --arch x86_64',
  'matrix --arch x86_64,powerpc64-hash-64k --no-costs',
  'ablate user-access-vs-munmap --site pagetable/mmu-gather.ts:136',
  'check two-deferred-fragments --arch powerpc64-hash-64k --freeing pte-free-defer-one-head',
]

const cli = cac('gracewalk')
cli
  .command('run <file>', 'Replay a recording (perf script or strace output, plain or gzip, - for standard input) and compare designs')
  .option('--cpus <n>', 'CPUs (threads) that run the recorded tasks; 2 if not given')
  .option('--design <names>', 'locking designs and files of your own (./my.ts), with commas, or all; all but forms of others if not given')
  .option('--arch <names>', 'architectures, with commas, or all; x86_64, powerpc64-hash-64k and x86-pae if not given')
  .option('--freeing <names>', 'policies of freeing page tables, with commas, or all; rcu-batch if not given')
  .option('--index <names>', 'what finds a VMA, with commas, or all; maple if not given')
  .option('--rcu <names>', 'flavours of RCU: quiescent, preemptible, or all; quiescent if not given')
  .option('--tables <names>', 'page tables allocated at a time: one, sixteen, or all; one if not given')
  .option('--page-map <how>', 'on larger pages: scale (one recorded page is one page, the default) or round (keep addresses)')
  .option('--touch <policy>', 'assume touches: none, first, all or sample:N; sample:16 if the recording has no faults')
  .option('--memory <bytes>', 'memory of the machine, such as 256M; by default what the program needs')
  .option('--disk-latency <us>', 'microseconds that a read from disk takes; 0 (the default): files are in the page cache')
  .option('--no-verify', 'do not compare the outcome with the sequential model')
  .option('--json', 'print one JSON object')
  .action((file: string, options: RawOptions) => runCommand(String(file), runOptions(options), version))
cli
  .command(
    'check [...scenarios]',
    'Explore scenarios over every interleaving: proved, not proved, or a counterexample (all of them if none is named)',
  )
  .option('--list', 'list the scenarios, their questions and their broken variants')
  .option(
    '--design <names>',
    'locking designs and files of your own (./my.ts), with commas, or all (by default those that the scenario asks about)',
  )
  .option('--arch <names>', 'architectures, with commas, or all')
  .option('--freeing <names>', 'policies of freeing page tables, with commas, or all')
  .option('--index <names>', 'what finds a VMA, with commas, or all; by default what the scenario names, or maple')
  .option('--rcu <names>', 'flavours of RCU: quiescent, preemptible, or all; by default what the scenario names, or quiescent')
  .option('--tables <names>', 'page tables allocated at a time: one, sixteen, or all; by default what the scenario names, or one')
  .option('--no-variants', 'leave the broken variants out of the matrix')
  .option(
    '--mode <how>',
    'check (few preemptions first, then all: the default), states (equal states merged), bounded, exhaustive (every trace), random or pct',
  )
  .option('--preemptions <n>', 'preemptions up to which violations are looked for first; 2 if not given')
  .option('--jobs <n>', 'Workers; as many as there are cores if not given. A single check is shared among them only if given')
  .option('--time <time>', 'what one scenario in one combination may take, such as 20, 20s or 5m; 60s if not given')
  .option('--executions <n>', 'executions that one scenario in one combination may take; no limit if not given')
  .option('--states <n>', 'states that one check may remember, up to 24 bytes each; 12 million if not given')
  .option('--seed <n>', 'which executions random and pct choose; 1 if not given')
  .option('--file <file>', 'a JavaScript file (TypeScript from Node 22.18 on) that exports scenarios of your own')
  .option('--save <file>', 'write the violation of a single check to a replay file, for --replay')
  .option('--replay <file>', 'run what a replay file holds, or say where the code has changed')
  .option('--wide', 'columns as wide as they need to be')
  .option('--all', 'show every step of a counterexample')
  .option('--json', 'print one JSON object')
  .action((scenarios: string[], options: RawOptions) =>
    checkCommand(scenarios.map(String), checkOptions(options, availableParallelism()), version),
  )
cli
  .command('ablate [...scenarios]', 'Change one synchronising site of the kernel at a time and see which scenarios notice')
  .option('--design <file>', 'the file of a design of your own: change its sites instead of those of the kernel that ships')
  .option('--site <place>', 'FILE:LINE, a file, a directory, or a site as --list names it; all sites if not given')
  .option(
    '--operator <names>',
    'kinds of change, with commas: lock, rcu, irq, recheck, flush, ipi, wait, wake, exclusion, publish, atomicity, ordering',
  )
  .option('--index <names>', 'what finds a VMA, with commas, or all; by default what the scenarios name, or maple')
  .option('--rcu <names>', 'flavours of RCU: quiescent, preemptible, or all; by default what the scenarios name, or quiescent')
  .option('--tables <names>', 'page tables allocated at a time: one, sixteen, or all; by default what the scenarios name, or one')
  .option('--list', 'list the sites: all of them, or those that the named scenarios execute (which takes a moment for each scenario)')
  .option('--jobs <n>', 'Workers; as many as there are cores if not given')
  .option('--time <time>', 'what the check of one scenario may take; 10s if not given')
  .option(
    '--site-time <time>',
    'what the searches of one site to the end may take, and a quarter of what all of them may; 30s if not given',
  )
  .option('--markdown <file>', 'write the page docs/ablation.md')
  .option('--json', 'print one JSON object')
  .action((scenarios: string[], options: RawOptions) =>
    ablateCommand(scenarios.map(String), ablateOptions(options, availableParallelism()), version),
  )
cli
  .command('matrix', 'Ask every design, architecture and freeing policy what the matrix asks; --markdown writes the page')
  .option('--design <names>', 'locking designs and files of your own (./my.ts), with commas; all that ship if not given')
  .option('--arch <names>', 'architectures, with commas; all if not given')
  .option('--freeing <names>', 'policies of freeing page tables, with commas; all if not given')
  .option('--jobs <n>', 'Workers; as many as there are cores if not given')
  .option('--time <time>', 'what one verdict may take; 60s if not given')
  .option('--recording <file>', 'what is replayed to measure costs; a shipped one if not given')
  .option('--no-costs', 'measure nothing')
  .option('--markdown <file>', 'write the page, and counterexamples beside it')
  .option('--json', 'print one JSON object')
  .action((options: RawOptions) => matrixCommand(matrixOptions(options, availableParallelism()), version))
for (const example of EXAMPLES) cli.example(`  $ gracewalk ${example}`)
cli.help((sections) =>
  sections
    .filter(({ title }) => !title?.startsWith('For more info'))
    // cac says so of every `--no-…`.
    .map((section) => ({ ...section, body: section.body.replaceAll(' (default: true)', '') })),
)
cli.version(version)

/** Flags as typed, without what follows `=`. */
function typedFlags(args: readonly string[]): string[] {
  const end = args.indexOf('--')
  return args
    .slice(0, end < 0 ? args.length : end)
    .filter((arg) => /^--?[a-z]/i.test(arg))
    .map((arg) => arg.split('=')[0] as string)
}

/** Refuses what no command knows, with the nearest name. */
function checkNames(args: readonly string[]): void {
  const known = ['--help', '-h', '--version', '-v']
  const command = cli.matchedCommand
  for (const { names, negated } of command?.options ?? []) {
    for (const name of names) known.push(`--${negated ? 'no-' : ''}${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`)
  }
  if (command === undefined && args[0] !== undefined && !args[0].startsWith('-')) {
    const commands = cli.commands.map(({ name }) => name)
    throw new UsageError(`unknown command '${args[0]}'${suggestion(args[0], commands)}`)
  }
  const number = args.find((arg) => /^-\d/.test(arg))
  if (number !== undefined) throw new UsageError(`'${number}' is taken for an option: no value may be negative`)
  for (const flag of typedFlags(args)) {
    if (!known.includes(flag)) throw new UsageError(`unknown option '${flag}'${suggestion(flag, known)}`)
  }
}

async function main(): Promise<number> {
  const args = process.argv.slice(2)
  const { options } = cli.parse(process.argv, { run: false })
  if (options.help === true || options.version === true) return Exit.success
  checkNames(args)
  if (cli.matchedCommand === undefined) {
    cli.outputHelp()
    return Exit.success
  }
  return (await cli.runMatchedCommand()) as number
}

function explain(error: unknown): number {
  if (!(error instanceof Error)) throw error
  const usage =
    [UsageError, TraceError, MachineOptionError, ScenarioError, DesignFileError].some((kind) => error instanceof kind) ||
    error.name === 'CACError'
  const known = usage || error instanceof ReplayStalled
  process.stderr.write(`gracewalk: ${known ? error.message : (error.stack ?? error.message)}\n`)
  return usage ? Exit.usage : Exit.failed
}

surviveClosedPipes()
process.exitCode = await main().catch(explain)
