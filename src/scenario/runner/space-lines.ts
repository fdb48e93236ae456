// The end of an execution in words: mappings and what their pages hold, once as the machine has it and once as the sequential
// model does. Both are written alike, so that they can be compared.
import { type Mapping, mappingsOf, pteOf } from '../../check/detect/index.ts'
import { Global } from '../../kernel/machine/globals.ts'
import { File } from '../../kernel/memory/file.ts'
import { Inode } from '../../kernel/memory/inode.ts'
import { PAGE_STRUCT_SHIFT, Page, PageFlag, pfnToVirt } from '../../kernel/memory/page.ts'
import { fileStamp } from '../../kernel/memory/page-cache.ts'
import { Pte, ptePfn } from '../../kernel/pagetable/entries.ts'
import { Vm } from '../../kernel/vma/vma.ts'
import type { Oracle, ProcessId } from '../../oracle/oracle.ts'

/** What is written for a page that cannot be read. */
const UNREADABLE = '?'

function line(start: number, end: number, rights: readonly boolean[], contents: readonly string[]): string {
  const letters = rights.map((has, i) => (has ? 'rwx'[i] : '-')).join('')
  return `0x${start.toString(16)}-0x${end.toString(16)} ${letters} ${contents.join(',')}`
}

/** The page of `inode` at offset `index` that is in the page cache and up to date: its frame, or -1. */
export function cachedFrame(words: Int32Array, inode: number, index: number): number {
  for (let pfn = 0; pfn < (words[Global.nrFrames] as number); pfn++) {
    const page = pageOf(words, pfn)
    if (words[page + Page.mapping] !== inode || words[page + Page.index] !== index) continue
    if (((words[page + Page.flags] as number) & PageFlag.uptodate) !== 0) return pfn
  }
  return -1
}

/** The struct page of frame `pfn`. */
export function pageOf(words: Int32Array, pfn: number): number {
  return (words[Global.pages] as number) + (pfn << PAGE_STRUCT_SHIFT)
}

/** What a read of page `vpn` would find in the file of `mapping`, where no entry maps it. */
function fileContent(words: Int32Array, { file, pgoff, start }: Mapping, vpn: number): string {
  const inode = words[file + File.inode] as number
  const index = vpn - start + pgoff
  if (index < 0 || index >= (words[inode + Inode.pages] as number)) return UNREADABLE
  const pfn = cachedFrame(words, inode, index)
  if (pfn >= 0) return String(words[pfnToVirt(pfn)])
  return words[inode + Inode.disk] === 0 ? '0' : String(fileStamp(words[inode + Inode.id] as number, index))
}

/** `0x4-0x6 rw- 7,0`: each mapping of `mm` in the machine, with word 0 of each of its pages. */
export function machineState(words: Int32Array, mm: number): string {
  return mappingsOf(words, mm)
    .map((mapping) => {
      const { start, end, flags } = mapping
      const content = (page: number): string => {
        const pte = pteOf(words, mm, page)
        if ((flags & Vm.read) === 0) return UNREADABLE
        if ((pte & (Pte.present | Pte.protnone)) !== 0) return String(words[pfnToVirt(ptePfn(pte))])
        return mapping.file === 0 ? '0' : fileContent(words, mapping, page)
      }
      const contents = Array.from({ length: end - start }, (_, i) => content(start + i))
      return line(start, end, [(flags & Vm.read) !== 0, (flags & Vm.write) !== 0, (flags & Vm.exec) !== 0], contents)
    })
    .join('; ')
}

/** The same of process `id` of the sequential model, whose pages have `bytes` bytes. */
export function oracleState(oracle: Oracle, id: ProcessId, bytes: number): string {
  if (!oracle.isAlive(id)) return ''
  return oracle
    .maps(id)
    .map(({ start, end, read, write, execute }) => {
      const contents: string[] = []
      for (let address = start; address < end; address += bytes) {
        const content = read ? oracle.read(id, address) : null
        contents.push(content === null || !('stamp' in content) ? UNREADABLE : String(content.stamp))
      }
      return line(start / bytes, end / bytes, [read, write, execute], contents)
    })
    .join('; ')
}
