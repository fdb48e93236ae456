// Which file is behind a descriptor number? Told by its path (strace -y), by the open that returned the number, or, where
// neither is recorded, guessed from the pattern of mmap calls: a loader maps a file first at offset 0 wherever the kernel likes,
// then its segments at fixed places inside.
import type { MappedFile } from './program.ts'

const MAP_FIXED = 0x10

/** Descriptors of one task, or of several that share them. */
export interface Descriptors {
  /** Index of the file, or -1 - n for the n-th opening whose file was never mapped. */
  open: Map<number, { path: string; file: number }>
}

/** The files of a program, and how they are found. */
export interface FileTable {
  files: MappedFile[]
  byPath: Map<string, number>
}

/** An empty table. */
export function createFiles(): FileTable {
  return { files: [], byPath: new Map() }
}

/** No descriptors. */
export function createDescriptors(): Descriptors {
  return { open: new Map() }
}

/** What a forked child has: the same numbers, changed independently from now on. */
export function copyDescriptors(from: Descriptors): Descriptors {
  return { open: new Map([...from.open].map(([fd, entry]) => [fd, { ...entry }])) }
}

/** A recorded open, dup, or close (`path` undefined). */
export function setDescriptor(table: Descriptors, fd: number, entry: { path: string; file: number } | undefined): void {
  if (entry === undefined) table.open.delete(fd)
  else if (table.open.size < 1_000_000) table.open.set(fd, entry)
}

/** The file that an mmap of `fd` maps; its size grows to the end of the mapping. */
export function mappedFile(
  files: FileTable,
  table: Descriptors,
  owner: number,
  fd: number,
  path: string,
  flags: number,
  offset: number,
  length: number,
): number {
  let index: number
  if (path !== '') index = fileByPath(files, path)
  else {
    let entry = table.open.get(fd)
    const guessed = entry === undefined || (entry.file >= 0 && files.files[entry.file]!.identity === 'guess')
    if (guessed && (entry === undefined || (offset === 0 && (flags & MAP_FIXED) === 0))) {
      entry = { path: '', file: addFile(files, `fd ${fd} of ${owner}`, 'guess') }
      setDescriptor(table, fd, entry)
    } else if (entry!.path !== '') entry!.file = fileByPath(files, entry!.path)
    else if (entry!.file < 0) entry!.file = addFile(files, `fd ${fd} of ${owner}`, 'open')
    index = entry!.file
  }
  const file = files.files[index]!
  if (offset + length > file.size) file.size = offset + length
  return index
}

function fileByPath(files: FileTable, path: string): number {
  const known = files.byPath.get(path)
  if (known !== undefined) return known
  const index = addFile(files, path, 'path')
  files.byPath.set(path, index)
  return index
}

function addFile(files: FileTable, name: string, identity: MappedFile['identity']): number {
  const index = files.files.length
  const same = identity === 'path' ? 0 : files.files.filter((file) => file.name === name || file.name.startsWith(`${name}, `)).length
  files.files.push({ index, name: same === 0 ? name : `${name}, no. ${same + 1}`, identity, size: 0 })
  return index
}
