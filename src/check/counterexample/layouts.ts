// The structures of the kernel that a tree holds, for names: read from the modules that run, so that a variant with other
// structures gets its own names.
import type { Layout } from '../../kernel/machine/struct.ts'
import type { Tree } from '../tree.ts'

type Fields = Layout<string>

/** What names need to know of a kernel. */
export interface Layouts {
  readonly global: Fields
  readonly cpu: Fields
  readonly cpuStride: number
  readonly page: Fields
  readonly pageFlag: Readonly<Record<string, number>>
  readonly slabCache: Fields
  /** Slab caches by number: what their objects are called, and their structure. */
  readonly caches: readonly { readonly kind: string; readonly fields: Fields | null }[]
  /** Structures inside structures: `Mm.mmapLock` → Rwsem. */
  readonly inner: Readonly<Record<string, Fields>>
  readonly arch: typeof import('../../kernel/arch/arch.ts')
  readonly upper: typeof import('../../kernel/pagetable/entries.ts')
}

/** What the objects of each slab cache are called. */
const KINDS: Readonly<Record<string, string>> = Object.freeze({
  mm: 'mm',
  vma: 'vma',
  mapleNode: 'maple node',
  anonVma: 'anon_vma',
  anonVmaChain: 'anon_vma_chain',
  file: 'file',
  inode: 'inode',
  gatherBatch: 'gather batch',
  tablePmd: 'pmd table',
  tablePud: 'pud table',
  tablePgd: 'pgd table',
})

/** Reads the structures of `tree`'s kernel. */
export async function readLayouts(tree: Tree): Promise<Layouts> {
  const plain = async <M>(path: string): Promise<M> => (await tree.module(path)) as unknown as M
  const globals = await plain<typeof import('../../kernel/machine/globals.ts')>('machine/globals.ts')
  const { Mm } = await plain<typeof import('../../kernel/memory/mm.ts')>('memory/mm.ts')
  const { Page, PageFlag } = await plain<typeof import('../../kernel/memory/page.ts')>('memory/page.ts')
  const { Cache } = await plain<typeof import('../../kernel/memory/slab.ts')>('memory/slab.ts')
  const { File } = await plain<typeof import('../../kernel/memory/file.ts')>('memory/file.ts')
  const { Inode } = await plain<typeof import('../../kernel/memory/inode.ts')>('memory/inode.ts')
  const { Vma } = await plain<typeof import('../../kernel/vma/vma.ts')>('vma/vma.ts')
  const { MapleNode, MapleTree } = await plain<typeof import('../../kernel/vma/maple-tree.ts')>('vma/maple-tree.ts')
  const { AnonVma, AnonVmaChain } = await plain<typeof import('../../kernel/vma/anon-vma.ts')>('vma/anon-vma.ts')
  const { GatherBatch } = await plain<typeof import('../../kernel/pagetable/mmu-gather.ts')>('pagetable/mmu-gather.ts')
  const { TlbEntry } = await plain<typeof import('../../kernel/pagetable/tlb.ts')>('pagetable/tlb.ts')
  const { Rwsem } = await plain<typeof import('../../kernel/sync/rwsem.ts')>('sync/rwsem.ts')
  const { RcuHead } = await plain<typeof import('../../kernel/sync/rcu.ts')>('sync/rcu.ts')
  const { Srcu } = await plain<typeof import('../../kernel/sync/srcu.ts')>('sync/srcu.ts')
  const fields: Record<string, Fields> = {
    mm: Mm,
    vma: Vma,
    mapleNode: MapleNode,
    anonVma: AnonVma,
    anonVmaChain: AnonVmaChain,
    file: File,
    inode: Inode,
    gatherBatch: GatherBatch,
  }
  const caches: { kind: string; fields: Fields | null }[] = []
  for (const [name, number] of Object.entries(Cache)) caches[number] = { kind: KINDS[name] ?? name, fields: fields[name] ?? null }
  return {
    global: globals.Global as unknown as Fields,
    cpu: tree.percpu.Cpu,
    cpuStride: tree.percpu.CPU_STRIDE,
    page: Page,
    pageFlag: PageFlag,
    slabCache: globals.SlabCache,
    caches,
    inner: {
      'mm.mmapLock': Rwsem,
      'mm.tree': MapleTree,
      'vma.rcuHead': RcuHead,
      'page.rcuHead': RcuHead,
      'gather batch.rcuHead': RcuHead,
      'global.slabs': globals.SlabCache,
      'global.srcuDomain': Srcu,
      'cpu.tlb': TlbEntry,
    },
    arch: await plain('arch/arch.ts'),
    upper: await plain('pagetable/entries.ts'),
  }
}
