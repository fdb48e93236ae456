// Users of pins: they write through the frame that they have pinned, as a device does, and compare it with the mapping.
import { userStore } from '../../kernel/fault/user-access.ts'
import { readOnce, writeOnce } from '../../kernel/machine/instructions.ts'
import { pageToVirt } from '../../kernel/memory/page.ts'
import { pageAnon } from '../../kernel/memory/rmap.ts'
import { sysPinUserPage, sysUnpinUserPage } from '../../kernel/syscall/gup.ts'

/** What a call returns whose pin and mapping came apart. */
export const APART = -1000

/** Pins page `vpn` for `access`, writes `value` into its frame and gives it back. Returns 0, or negated `VmFault` bits. */
export function pinAndWrite(mm: number, vpn: number, access: number, value: number): number {
  const page = sysPinUserPage(mm, vpn, access)
  if (page < 0) return page
  writeOnce(pageToVirt(page), value)
  sysUnpinUserPage(page)
  return 0
}

/** Pins page `vpn` for `access`, writes `value` as the user does, and looks for it in the frame. Returns 0, negated bits, or `APART`. */
export function writeWhilePinned(mm: number, vpn: number, access: number, value: number): number {
  const page = sysPinUserPage(mm, vpn, access)
  if (page < 0) return page
  const failed = userStore(vpn, 0, value)
  const seen = readOnce(pageToVirt(page))
  sysUnpinUserPage(page)
  if (failed !== 0) return failed
  return seen === value ? 0 : APART
}

/** Pins page `vpn` for `access` and keeps the pin in word `slot`. Returns 0, or negated `VmFault` bits. */
export function pinInto(mm: number, vpn: number, access: number, slot: number): number {
  const page = sysPinUserPage(mm, vpn, access)
  writeOnce(slot, page)
  return Math.min(page, 0)
}

/** What the page pinned in word `slot` holds; its pin is given back. */
export function readPinned(slot: number): number {
  const page = readOnce(slot)
  const value = readOnce(pageToVirt(page))
  sysUnpinUserPage(page)
  return value
}

/** 1 if the page pinned in word `slot` is anonymous, 0 if it is a file's; its pin is given back. */
export function isPinnedAnon(slot: number): number {
  const page = readOnce(slot)
  const anon = pageAnon(page) ? 1 : 0
  sysUnpinUserPage(page)
  return anon
}
