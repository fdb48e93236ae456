// The system-call boundary: byte addresses and lengths in, virtual page numbers and VMA flags out. Each function checks
// what needs no address space, in Linux's order, and says which kernel function to call with which integers; an executor
// makes the call (on a thread or stepped) and turns the result back with `toResult`.
import { PAGE_SHIFT } from '../kernel/arch/arch.ts'
import { endFromReal, pageFromReal, pageToReal, runEnd } from '../kernel/arch/windows.ts'
import { Errno } from '../kernel/machine/errno.ts'
import { Global } from '../kernel/machine/globals.ts'
import { load } from '../kernel/machine/instructions.ts'
import { Placement } from '../kernel/syscall/mmap.ts'
import { Vm } from '../kernel/vma/vma.ts'
import { Madvise, MapFlag, Mremap, Prot } from './constants.ts'

/** A kernel entry by name. */
export type CallName = 'sysMmap' | 'sysMunmap' | 'sysMprotect' | 'sysMadvise' | 'sysMremap' | 'sysBrk'
/** A call to make. `page`: a result of 0 or more is a page number. */
export interface KernelCall {
  readonly name: CallName
  readonly args: readonly number[]
  readonly page: boolean
}
/** A call to make, or the answer that needs no call: a negated errno, or 0. */
export type Prepared = KernelCall | number

const EBADF = 9
/** MAP_SHARED_VALIDATE refuses flags that are newer than itself. */
const EOPNOTSUPP = 95
const EOVERFLOW = 75
const MAX_PGOFF = 0x7fffffff

/** Bytes of a page of the bound machine. */
export function pageBytes(): number {
  return 2 ** PAGE_SHIFT
}

/** Pages that `length` bytes need. */
export function toPages(length: number): number {
  return Math.ceil(length / pageBytes())
}

/** The page that holds byte `address`, or -1 if no window of the machine does. */
export function pageOf(address: number): number {
  return pageFromReal(Math.floor(address / pageBytes()))
}

/** The byte address of page `page`. */
export function addressOf(page: number): number {
  return pageToReal(page) * pageBytes()
}

/** What the program sees of a kernel result: an address for page results, else the number itself. */
export function toResult(call: KernelCall, result: number): number {
  return call.page && result >= 0 ? addressOf(result) : result
}

function aligned(address: number): boolean {
  return address % pageBytes() === 0
}

/** First byte behind user space. */
export function taskBytes(): number {
  return addressOf(load(Global.taskSize) - 1) + pageBytes()
}

/** The first page of a range and its number of pages, if it lies in windows that are adjacent in reality; else undefined. */
function range(address: number, pages: number): { page: number; pages: number } | undefined {
  const page = pageOf(address)
  if (page < 0 || pages === 0) return page < 0 ? undefined : { page, pages }
  const end = endFromReal(Math.floor(address / pageBytes()) + pages)
  return end === page + pages ? { page, pages } : undefined
}

/** The parts of [address, address + pages) that lie in windows, for calls that pass over what cannot be mapped. */
function clipped(address: number, pages: number): { page: number; pages: number } | undefined {
  const whole = range(address, pages)
  if (whole !== undefined) return whole
  const count = load(Global.windowCount)
  const first = Math.floor(address / pageBytes())
  let low = -1
  let high = -1
  for (let window = 0; window < count; window++) {
    const start = load(Global.windows + window) * 2 ** 27
    const from = Math.max(first, start)
    const to = Math.min(first + pages, start + 2 ** 27)
    if (from >= to) continue
    if (low < 0) low = pageFromReal(from)
    high = pageFromReal(to - 1) + 1
  }
  return low < 0 ? undefined : { page: low, pages: high - low }
}

/** What a file that is mapped looks like to mmap. `file`: the kernel's struct file. */
export interface MappedFile {
  readonly file: number
  readonly readable: boolean
  readonly writable: boolean
}

/** The VMA flags for `prot` and MAP_ `flags` (calc_vm_prot_bits and the rules of do_mmap). Returns a negated errno if refused. */
export function vmFlags(prot: number, flags: number, file: MappedFile | undefined): number {
  let vm = (prot & 7) | Vm.mayRead | Vm.mayWrite | Vm.mayExec
  const type = flags & MapFlag.type
  if (type === MapFlag.sharedValidate && file !== undefined && (flags & MapFlag.fixedNoreplace) !== 0) return -EOPNOTSUPP
  if (type === MapFlag.shared || (type === MapFlag.sharedValidate && file !== undefined)) {
    vm |= Vm.shared | Vm.mayShare
    if (file !== undefined && !file.writable) {
      if ((prot & Prot.write) !== 0) return -Errno.EACCES
      vm &= ~(Vm.mayWrite | Vm.shared)
    }
  } else if (type !== MapFlag.private) return -Errno.EINVAL
  if (file !== undefined && !file.readable) return -Errno.EACCES
  if ((flags & MapFlag.noReserve) !== 0) vm |= Vm.noReserve
  else if ((vm & (Vm.write | Vm.shared)) === Vm.write) vm |= Vm.account
  return vm
}

/** mmap(2): `address` in bytes (0: anywhere), `length` in bytes, PROT_ and MAP_ bits, the file, its offset in bytes. */
export function prepareMmap(
  mm: number,
  address: number,
  length: number,
  prot: number,
  flags: number,
  file: MappedFile | undefined,
  offset: number,
): Prepared {
  if (!aligned(offset)) return -Errno.EINVAL
  const anonymous = (flags & MapFlag.anonymous) !== 0
  if (!anonymous && file === undefined) return -EBADF
  if (length <= 0) return -Errno.EINVAL
  const pages = toPages(length)
  const fixed = (flags & (MapFlag.fixed | MapFlag.fixedNoreplace)) !== 0
  if (length > taskBytes()) return -Errno.ENOMEM
  if (fixed && address + pages * pageBytes() > taskBytes()) return -Errno.ENOMEM
  if (fixed && !aligned(address)) return -Errno.EINVAL
  const vm = vmFlags(prot, flags, anonymous ? undefined : file)
  const placement = !fixed ? Placement.hint : (flags & MapFlag.fixedNoreplace) !== 0 ? Placement.fixedNoreplace : Placement.fixed
  let page = 0
  if (fixed || address !== 0) {
    const at = range(Math.floor(address / pageBytes()) * pageBytes(), pages)
    if (at === undefined && fixed) return -Errno.ENOMEM
    page = at?.page ?? 0
  }
  // A page offset is a word: files end long before, and a wrapped offset would show the wrong page.
  if (!anonymous && offset / pageBytes() + pages > MAX_PGOFF) return -EOVERFLOW
  const inode = anonymous || file === undefined ? 0 : file.file
  return { name: 'sysMmap', args: [mm, page, pages, vm, placement, inode, offset / pageBytes()], page: true }
}

/** munmap(2). */
export function prepareMunmap(mm: number, address: number, length: number): Prepared {
  const pages = toPages(length)
  if (!aligned(address) || pages <= 0 || address + pages * pageBytes() > taskBytes()) return -Errno.EINVAL
  const at = clipped(address, pages)
  return at === undefined ? 0 : { name: 'sysMunmap', args: [mm, at.page, at.pages], page: false }
}

/** mprotect(2). */
export function prepareMprotect(mm: number, address: number, length: number, prot: number): Prepared {
  if (!aligned(address) || (prot & ~7) !== 0) return -Errno.EINVAL
  const pages = toPages(length)
  if (pages === 0) return 0
  const at = range(address, pages) ?? clipped(address, pages)
  if (at === undefined || addressOf(at.page) !== address) return -Errno.ENOMEM
  return { name: 'sysMprotect', args: [mm, at.page, at.pages, prot], page: false }
}

/** madvise(2). */
export function prepareMadvise(mm: number, address: number, length: number, advice: number): Prepared {
  const known =
    advice === Madvise.dontneed || advice === Madvise.free || advice === Madvise.populateRead || advice === Madvise.populateWrite
  if (!known || !aligned(address)) return -Errno.EINVAL
  const pages = toPages(length)
  if (pages === 0) return 0
  const at = range(address, pages) ?? clipped(address, pages)
  if (at === undefined) return -Errno.ENOMEM
  return { name: 'sysMadvise', args: [mm, at.page, at.pages, advice], page: false }
}

/** mremap(2): lengths in bytes; `newAddress` counts with MREMAP_FIXED (target) and MREMAP_DONTUNMAP (hint). */
export function prepareMremap(
  mm: number,
  address: number,
  oldLength: number,
  newLength: number,
  flags: number,
  newAddress: number,
): Prepared {
  const oldPages = toPages(oldLength)
  const newPages = toPages(newLength)
  const known = Mremap.mayMove | Mremap.fixed | Mremap.dontUnmap
  const newBytes = newPages * pageBytes()
  if ((flags & ~known) !== 0 || !aligned(address) || newPages === 0 || newBytes > taskBytes()) return -Errno.EINVAL
  let target = 0
  if ((flags & (Mremap.fixed | Mremap.dontUnmap)) !== 0) {
    if (newAddress > taskBytes() - newBytes || !aligned(newAddress) || (flags & Mremap.mayMove) === 0) return -Errno.EINVAL
    if ((flags & Mremap.dontUnmap) !== 0 && oldPages !== newPages) return -Errno.EINVAL
    if (address + oldPages * pageBytes() > newAddress && newAddress + newBytes > address) return -Errno.EINVAL
    const to = range(newAddress, newPages)
    if (to === undefined && (flags & Mremap.fixed) !== 0) return -Errno.ENOMEM
    target = to?.page ?? 0
  }
  const from = pageOf(address)
  // No mapping leaves the windows that are adjacent in reality, so such a range is not one mapping.
  if (from < 0 || oldPages > runEnd(from) - from) return -Errno.EFAULT
  return { name: 'sysMremap', args: [mm, from, oldPages, newPages, flags, target], page: true }
}

/** brk: `address` is the wanted end of the heap in bytes. The break afterwards is read from the mm (see `Mm.brk`). */
export function prepareBrk(mm: number, address: number): Prepared {
  const pages = toPages(address)
  const end = pages === 0 ? -1 : endFromReal(pages)
  if (end < 0) return -Errno.ENOMEM
  return { name: 'sysBrk', args: [mm, end, pages * pageBytes() - address], page: false }
}
