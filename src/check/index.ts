// Stepped CPUs: runs kernel functions on N CPUs of one machine, one announced instruction at a time.
//
//   const tree = await openTree()                                    // dist/stepped/kernel
//   const { downRead, upRead } = await tree.module<typeof import('../kernel/sync/rwsem.ts')>('sync/rwsem.ts')
//   const machine = bindMachine(tree, { buffer, cpus: 2, perCpuAreas, interrupt: () => interrupt() })
//   // or, for a machine booted natively: const machine = await attachKernel(tree, bootMachine({ cpus: 2 }).buffer)
//   const outcome = run(machine, [() => faultTask(), () => unmapTask()], randomScheduler(seed), { maxSteps })
//   if (outcome.verdict !== 'finished') throw new Error(outcome.message)   // each CPU's function, file:line, operation
//   run(machine, tasks, replayScheduler(outcome.schedule))           // exactly the same again (memory reset by you)
//
// A task is a function that calls stepped functions: `function* () { yield* downRead(sem); yield writeOnce(p, 1, 0) }`,
// or source in the kernel's dialect compiled by `tree.load('scenario/mine.ts', text)`. `null` leaves a CPU idle.
export { canInterrupt, createExecution, type Execution, type Machine, type Task } from './execution.ts'
export { attachKernel } from './kernel.ts'
export { formatPosition, type Outcome, type Position, type Verdict } from './outcome.ts'
export { bindMachine, type RunOptions, run, runAlone } from './run.ts'
export { randomScheduler, replayScheduler, roundRobinScheduler, type Schedule, ScheduleMismatch, type Scheduler } from './schedule.ts'
export { type Instructions, openTree, type Stepped, type Steps, type Tree } from './tree.ts'
