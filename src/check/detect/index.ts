// The detectors: what counts as wrong in an execution of the stepped kernel.
export { type Mapping, mappingsOf, pteOf } from './address-space.ts'
export type { CallDescription, CallRecord, FileDescription } from './calls.ts'
export { createDetectors, type DetectorOptions, type Detectors } from './detectors.ts'
export { entryPairs } from './entry-pairs.ts'
export { explain, type Sequential, type SequentialRun } from './linearizable.ts'
export type { Pair } from './torn.ts'
