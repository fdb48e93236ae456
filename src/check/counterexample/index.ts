// Counterexamples: a failing path made short, recorded with values and names, reduced to what matters.
//
//   const recorder = createRecorder(machine, detectors)
//   const model = kernelModel({ machine, calls, watch: recorder.watch })
//   const report = explore(model, { mode: 'check' })
//   const minimised = minimise(model, report.path, { watch: detectors })
//   const recording = record(model, recorder, minimised.path)
//   const example = counterexample({ facts, recording, path: minimised.path, minimised, layouts: await readLayouts(tree) })
//   console.log(counterexampleColumns(example).join('\n'))     // src/report/columns.ts
export { describeAccess, describeWait, lockName } from './access.ts'
export { type Counterexample, type CounterexampleOptions, counterexample, type Facts, type Line } from './counterexample.ts'
export { type CounterexampleJson, counterexampleJson, type EventJson } from './json.ts'
export { type Layouts, readLayouts } from './layouts.ts'
export { expand, type Minimised, type MinimiseOptions, minimise, type PathCost, pathCost } from './minimise.ts'
export { agentName, createNames, type Labels, type Named, type Names } from './names.ts'
export { type Pinned, pinningTest } from './pinning-test.ts'
export { record } from './record.ts'
export {
  createRecorder,
  type EventKind,
  type HeldLock,
  type RecordedEvent,
  type Recorder,
  type Recording,
  type Waiting,
} from './recording.ts'
export { type Relevance, relevantEvents } from './relevant.ts'
export { compareReplay, type ReplayFile, type ReplayVerdict, readReplay, replayFile, stepsOf, writeReplay } from './replay-file.ts'
export { patternOf, signatureOf } from './signature.ts'
