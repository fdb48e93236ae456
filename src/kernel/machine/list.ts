// Doubly linked lists through two words of whatever is listed, as Linux's list_head: a ring through a head that lies elsewhere.
// The caller holds the list's lock.
import { load, store } from './instructions.ts'
import { struct } from './struct.ts'

/** A place in a list, or the head of one. */
export const ListHead = struct({ next: 1, prev: 1 })

/** INIT_LIST_HEAD: an empty list, or an entry that is in none. */
export function initListHead(head: number): void {
  store(head + ListHead.next, head)
  store(head + ListHead.prev, head)
}

/** list_first_entry_or_null: the first entry, or 0. */
export function listFirst(head: number): number {
  const first = load(head + ListHead.next)
  return first === head ? 0 : first
}

/** list_add: puts `entry`, which is in no list, first. */
export function listAdd(entry: number, head: number): void {
  insert(entry, head, load(head + ListHead.next))
}

/** list_add_tail: puts it last. */
export function listAddTail(entry: number, head: number): void {
  insert(entry, load(head + ListHead.prev), head)
}

function insert(entry: number, prev: number, next: number): void {
  store(entry + ListHead.next, next)
  store(entry + ListHead.prev, prev)
  store(next + ListHead.prev, entry)
  store(prev + ListHead.next, entry)
}

/** list_del_init: takes `entry` out of the list that it is in, if any. */
export function listDelInit(entry: number): void {
  const next = load(entry + ListHead.next)
  const prev = load(entry + ListHead.prev)
  initListHead(entry)
  store(next + ListHead.prev, prev)
  store(prev + ListHead.next, next)
}
