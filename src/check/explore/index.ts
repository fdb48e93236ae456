// Exploration of concurrent programs: every interleaving that can matter, or those with few preemptions, or some by chance.
//
//   const report = explore(litmus({ words: 2, agents: [a, b] }))          // verdict: proved | bounded | stopped | violation
//   const report = explore(kernelModel({ machine, tasks, check }), { mode: 'check', milliseconds: 20_000 })
//   if (report.verdict === 'violation') replay(model, report.path)        // exactly the same again
export {
  compress,
  type ExploreOptions,
  type ExploreReport,
  explore,
  type Path,
  PathMismatch,
  replay,
  type Verdict,
} from './explore.ts'
export { type KernelScenario, kernelModel } from './kernel-model.ts'
export { type Agent, type Litmus, litmus, type Operations } from './litmus.ts'
export { type Model, Status, type ValueAt } from './model.ts'
