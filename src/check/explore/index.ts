// Exploration of concurrent programs: every interleaving that can matter, or those with few preemptions, or some by chance.
//
//   const report = explore(litmus({ words: 2, agents: [a, b] }))          // verdict: proved | bounded | stopped | violation
//   const report = explore(kernelModel({ machine, tasks, check }), { mode: 'check', milliseconds: 20_000 })
//   const report = await exploreJobs({ url, exportName, args }, { jobs: 2 })             // states merged, on two Workers
//   if (report.verdict === 'violation') replay(model, report.path)        // exactly the same again
export { type ExploreOptions, explore, exploreJobs, type JobOptions } from './explore.ts'
export { CallThrew, type KernelScenario, kernelModel } from './kernel-model.ts'
export { WaitsAlone } from './kernel-step.ts'
export { type Agent, type Litmus, litmus, type Operations } from './litmus.ts'
export type { IrqOffSection } from './model.ts'
export { type Model, Status, type ValueAt } from './model.ts'
export { compress, type Path } from './path.ts'
export type { Mode } from './plan.ts'
export type { Progress } from './progress.ts'
export { PathMismatch, replay } from './replay.ts'
export { type ExploreReport, NothingExplored, type Verdict } from './report.ts'
export type { ModelSource } from './states-worker.ts'
