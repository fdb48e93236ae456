// A fork that notes whose anonymous pages its VMA will hold.
import { load, writeOnce } from '../../kernel/machine/instructions.ts'
import { sysFork } from '../../kernel/syscall/fork.ts'
import { vmaLookup } from '../../kernel/vma/find-vma.ts'
import { Vma } from '../../kernel/vma/vma.ts'

/** Forks `parent`. The anon_vmas that the VMAs of page `vpn` use as their own are then at `note`: the parent's, and the child's. */
export function forkAndNote(parent: number, vpn: number, note: number): number {
  const child = sysFork(parent)
  if (child === 0) return 0
  // Nobody else has either of them.
  writeOnce(note, load(vmaLookup(parent, vpn) + Vma.anonVma))
  writeOnce(note + 1, load(vmaLookup(child, vpn) + Vma.anonVma))
  return child
}

/** The VMA of page `vpn` of `mm`, for a set-up. */
export function vmaOf(mm: number, vpn: number): number {
  return vmaLookup(mm, vpn)
}
