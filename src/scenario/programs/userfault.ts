// Who fills missing pages, as the handler of a userfaultfd does.
import { writeOnce } from '../../kernel/machine/instructions.ts'
import { pageToVirt } from '../../kernel/memory/page.ts'
import { sysGetFreePage, sysUserfaultCopy } from '../../kernel/syscall/userfault.ts'

/** UFFDIO_COPY of a page that holds `value` to page `vpn`. Returns what `sysUserfaultCopy` does. */
export function copyPage(mm: number, vpn: number, value: number): number {
  const page = sysGetFreePage()
  writeOnce(pageToVirt(page), value)
  return sysUserfaultCopy(mm, vpn, page)
}
