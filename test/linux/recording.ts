// Recorded answers: lists with what Linux said to them, so that machines without a C compiler or with
// another kernel check the same. A gzipped text of driver lines: operations, `E`, answers, `.`.

import { readFileSync, writeFileSync } from 'node:fs'
import { gunzipSync, gzipSync } from 'node:zlib'
import { decodeAnswers } from './answer.ts'
import { type Answer, decode, encode, type Operation } from './operation.ts'

/** A recording as it is read back. */
export interface Recording {
  /** The kernel that answered, as `uname -r` gives it. */
  readonly release: string
  readonly entries: readonly { readonly list: Operation[]; readonly answers: Answer[] }[]
}

/** Writes lists with the driver's lines for them. */
export function writeRecording(path: string, release: string, entries: readonly { list: Operation[]; lines: string[] }[]): void {
  const text = entries.map(({ list, lines }) => [...list.map(encode), 'E', ...lines, '.'].join('\n'))
  writeFileSync(path, gzipSync(`${[release, ...text].join('\n')}\n`, { level: 9 }))
}

/** Reads what writeRecording wrote; throws if the file is something else. */
export function readRecording(path: string): Recording {
  const [release = '', ...lines] = gunzipSync(readFileSync(path)).toString().trimEnd().split('\n')
  const entries: { list: Operation[]; answers: Answer[] }[] = []
  let list: Operation[] = []
  let answers: string[] | undefined
  for (const line of lines) {
    if (line === 'E') answers = []
    else if (line === '.') {
      if (answers?.length !== list.length) throw new Error(`${path}: ${list.length} operations, ${answers?.length} answers`)
      entries.push({ list, answers: decodeAnswers(list, answers) })
      list = []
      answers = undefined
    } else if (answers === undefined) list.push(decode(line))
    else answers.push(line)
  }
  return { release, entries }
}
