import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { registries, writeRegistries } from '../../scripts/registry.mjs'

const kernel = fileURLToPath(new URL('../../src/kernel/', import.meta.url))

it('the lists of architectures and designs are those of the files that there are', () => {
  for (const { path, text } of registries(kernel)) expect(readFileSync(join(kernel, path), 'utf8')).toBe(text)
})

it('a file more is an architecture more', () => {
  const copy = `${mkdtempSync(join(tmpdir(), 'gracewalk-'))}/`
  try {
    for (const room of ['arch', 'design']) cpSync(join(kernel, room), join(copy, room), { recursive: true })
    writeFileSync(join(copy, 'arch/vax.ts'), "import type { Arch } from './arch.ts'\nexport const vax: Arch = Object.freeze({})\n")
    writeRegistries(copy)
    const text = readFileSync(join(copy, 'arch/architectures.ts'), 'utf8')
    expect(text).toContain("import { vax } from './vax.ts'")
    expect(text.match(/^ {2}\w+,$/gm)).toContain('  vax,')
  } finally {
    rmSync(copy, { recursive: true })
  }
})
