// What a caller of the replay may choose.
import type { PageMap } from './addresses.ts'

/** How to replay. */
export interface ReplayOptions {
  readonly design: string
  readonly arch: string
  /** What finds a VMA, the flavour of RCU, and how many page tables are allocated at a time (see `MachineOptions`); the usual ones. */
  readonly index?: string
  readonly rcu?: string
  readonly tables?: string
  /** How page tables are freed: `rcu-batch`. */
  readonly freeing?: string
  /** Default 2. */
  readonly cpus?: number
  /** Default `scale`. */
  readonly pageMap?: PageMap
  /** Bytes; chosen from the program when not given. */
  readonly memory?: number
  /** Microseconds that a read from disk takes. Default 0: the program's file pages are in the page cache from the beginning. */
  readonly diskLatency?: number
  /** Unmeasured runs before the measured ones, and measured ones; chosen by the program's size when not given. */
  readonly warmUps?: number
  readonly runs?: number
  /** Fill freed frames with junk. Default false. */
  readonly poison?: boolean
  /** Milliseconds without a completed operation after which the replay is given up. Default one minute. */
  readonly stallAfter?: number
  /** Is told how far the replay is: operations done and to do, warm-ups included. */
  readonly progress?: (done: number, total: number) => void
  readonly signal?: AbortSignal
}
