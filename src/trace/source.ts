// The bytes of a recording: a file or a stream, gzip or not (told by its first bytes, not by its name).
// A compressed file that is cut off or damaged gives everything up to there.
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createGunzip } from 'node:zlib'
import { TraceError } from './errors.ts'

/** Decompressed bytes; `damage` is set once they have ended early. */
export interface ByteSource {
  name: string
  gzip: boolean
  chunks: AsyncIterable<Uint8Array>
  /** Why the bytes end before the file does, '' when they do not. */
  damage: () => string
}

/** Opens a file for {@link readRecording}. Throws TraceError when it is missing, a directory, empty or not permitted. */
export async function openSource(path: string): Promise<ByteSource> {
  const facts = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new TraceError(`${path}: ${reason(error)}`)
  })
  if (facts.isDirectory()) throw new TraceError(`${path} is a directory; a recording is one file`)
  if (facts.isFile() && facts.size === 0) throw new TraceError(`${path} is empty`)
  return byteSource(path, fileChunks(path))
}

/** Wraps any stream of bytes. Throws TraceError when there are none. */
export async function byteSource(name: string, chunks: AsyncIterable<Uint8Array>): Promise<ByteSource> {
  const iterator = chunks[Symbol.asyncIterator]()
  const held: Uint8Array[] = []
  let size = 0
  while (size < 4) {
    const next = await iterator.next()
    if (next.done) break
    held.push(next.value)
    size += next.value.length
  }
  if (size === 0) throw new TraceError(`${name} is empty`)
  const head = Buffer.concat(held)
  const rest = resume(head, iterator)
  if (head[0] !== 0x1f || head[1] !== 0x8b) return { name, gzip: false, chunks: rest, damage: () => '' }
  const state = { damage: '' }
  return { name, gzip: true, chunks: gunzip(rest, state), damage: () => state.damage }
}

async function* fileChunks(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark: 1 << 18 })
  } catch (error) {
    throw new TraceError(`${path}: ${reason(error as NodeJS.ErrnoException)}`)
  }
}

async function* resume(head: Uint8Array, iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield head
    for (;;) {
      const next = await iterator.next()
      if (next.done) return
      yield next.value
    }
  } finally {
    await iterator.return?.()
  }
}

// Iterating over a Gunzip stream would throw away what it has buffered when the input turns out to be cut. So the output is
// taken as it flows, and one small piece of input is given at a time, which bounds what can be waiting.
async function* gunzip(chunks: AsyncIterable<Uint8Array>, state: { damage: string }): AsyncGenerator<Uint8Array> {
  const stream = createGunzip({ chunkSize: 1 << 16 })
  let ready: Uint8Array[] = []
  let failed: NodeJS.ErrnoException | undefined
  stream.on('data', (chunk: Buffer) => ready.push(chunk))
  const ended = new Promise<void>((resolve) => {
    stream.on('end', resolve)
    stream.on('error', (error) => {
      failed = error
      resolve()
    })
  })
  const take = (): Uint8Array[] => {
    const taken = ready
    ready = []
    return taken
  }
  try {
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length && !failed; at += 1 << 14) {
        const piece = chunk.subarray(at, at + (1 << 14))
        await Promise.race([new Promise<void>((resolve) => stream.write(piece, () => resolve())), ended])
        yield* take()
      }
      if (failed) break
    }
    if (!failed) stream.end()
    await ended
    yield* take()
    if (failed?.code === 'Z_BUF_ERROR') state.damage = 'the gzip stream is cut off'
    else if (failed) state.damage = `the gzip stream is damaged (${failed.message})`
  } finally {
    stream.destroy()
  }
}

function reason(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return 'no such file'
  if (error.code === 'EACCES' || error.code === 'EPERM') return 'permission denied'
  return `cannot be read (${error.code ?? error.message})`
}
