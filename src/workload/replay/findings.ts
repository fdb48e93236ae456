// What a verification finds wrong, and how much it looked at.

/** One thing that is not as it must be. */
export interface Finding {
  readonly kind: 'fault' | 'value' | 'result' | 'mapping' | 'page' | 'counter' | 'leak'
  /** One sentence: where, what was expected, what was found. */
  readonly text: string
}

/** What a verification says. */
export interface Verdict {
  readonly verified: boolean
  /** The first of them. */
  readonly findings: readonly Finding[]
  /** All of them. */
  readonly count: number
  /** What was compared. */
  readonly operations: number
  readonly reads: number
  readonly pages: number
  readonly mappings: number
  readonly spaces: number
  /** Pairs of operations that raced, and outcomes that only a race explains. */
  readonly raced: number
  readonly explained: number
  /** Changes of file, shared or moved mappings raced: pages were only checked to hold something that was written. */
  readonly tangled: boolean
  /** Operations that ended otherwise than in the recording, and those that found no memory. */
  readonly differing: number
  readonly outOfMemory: number
  /** Milliseconds. */
  readonly time: number
}

const KEPT = 20

/** A verdict in the making. */
export interface Ledger {
  findings: Finding[]
  count: number
  operations: number
  reads: number
  pages: number
  mappings: number
  spaces: number
  explained: number
  differing: number
  outOfMemory: number
}

/** An empty one. */
export function createLedger(): Ledger {
  return {
    findings: [],
    count: 0,
    operations: 0,
    reads: 0,
    pages: 0,
    mappings: 0,
    spaces: 0,
    explained: 0,
    differing: 0,
    outOfMemory: 0,
  }
}

/** Notes what is wrong. */
export function find(ledger: Ledger, kind: Finding['kind'], text: string): void {
  ledger.count++
  if (ledger.findings.length < KEPT) ledger.findings.push({ kind, text })
}

/** An address as people write it. */
export function hex(address: number): string {
  return `0x${address.toString(16)}`
}
