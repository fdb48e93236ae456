// Why no scenario misses a site: what is known of those that ablation found to survive. What stands here is read by people only;
// no verdict depends on it.
import type { AblationSite } from '../check/ablate/index.ts'

interface Reason {
  readonly file: RegExp
  readonly function: RegExp
  readonly operator?: RegExp
  readonly why: string
}

const REASONS: readonly Reason[] = [
  {
    file: /^pagetable\/pte-offset-map\.ts$/,
    function: /^(pteOffsetMapLock|pteOffsetMapRoNolock|pteOffsetMapRwNolock|pmdSame)$/,
    operator: /recheck/,
    why: 'a PTE table goes from under a VMA that somebody holds only with khugepaged or the reclaim of empty tables, which are not built yet',
  },
  {
    file: /^vma\/maple-/,
    function: /^(mtLoad|masWalk)$/,
    operator: /recheck/,
    why: 'nodes do not change once they are published and are freed through RCU: a single look-up in an old node is as good as one that came earlier',
  },
  {
    file: /^design\/speculative\.ts$/,
    function: /^findAndCopyVma$/,
    operator: /recheck/,
    why: 'it saves work: what follows is checked against the same count again before anything is installed, and no signal is raised from a copy',
  },
  {
    file: /^design\/speculative\.ts$/,
    function: /^walkBegin$/,
    operator: /rcu/,
    why: 'no step of the walk passes a quiescent state: in a kernel that is not preemptible all of a fault that does not sleep is a reader',
  },
  { file: /^sync\/lock-stat\.ts$/, function: /./, why: 'statistics, off during checks' },
  {
    file: /./,
    function: /^(spinLockSlow|lockStat\w*)$/,
    why: 'waiting for a spinlock is one step of the checker, so that the loop around it is not executed',
  },
]

/** Why `site` is missed by no scenario, or ''. */
export function reasonFor(site: Pick<AblationSite, 'file' | 'function' | 'operator'>): string {
  const found = REASONS.find(
    (reason) => reason.file.test(site.file) && reason.function.test(site.function) && (reason.operator?.test(site.operator) ?? true),
  )
  return found?.why ?? ''
}
