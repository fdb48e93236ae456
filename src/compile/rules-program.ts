// The rules that need more than one module: what an imported name stands for, and what is put into design tables.
import type { Node } from 'oxc-parser'
import { walk } from 'oxc-walker'
import { designMember, type Module } from './module.ts'
import type { Program } from './program.ts'
import { bare, type Refusal, refuse } from './source.ts'

/** Checks linked modules against each other. */
export function checkProgram(program: Program): Refusal[] {
  const refusals = [...program.refusals]
  for (const module of program.modules.values()) {
    const say = (node: { start: number }, reason: string): void => void refusals.push(refuse(module.source, node, reason))
    checkDesignEntries(program, module, say)
    checkUses(program, module, say)
  }
  return refusals
}

type Say = (node: { start: number }, reason: string) => void

function checkDesignEntries(program: Program, module: Module, say: Say): void {
  for (const { member, value } of module.designEntries) {
    const node = bare(value)
    const target = node.type === 'Identifier' ? program.resolve(module, node.name) : null
    const isFunction = target?.kind === 'function'
    if (program.designMembers.has(member) && !isFunction) say(node, `design function '${member}' must be the name of a function`)
    if (!program.designMembers.has(member) && isFunction) say(node, `the Design interface has no function '${member}'`)
  }
}

/** Uses of imported names: functions are called, tables are read by field, nothing else. */
function checkUses(program: Program, module: Module, say: Say): void {
  const entries = new Set<Node>(module.designEntries.map(({ value }) => bare(value)))
  walk(module.source.program, {
    enter(node, parent, { key }) {
      if (node.type === 'ImportDeclaration' || (node.type === 'ExportNamedDeclaration' && node.declaration === null)) return this.skip()
      if (node.type.startsWith('TS') && !('expression' in node)) return this.skip()
      const member = node.type === 'CallExpression' ? designMember(module, node.callee) : null
      if (member !== null && !program.designMembers.has(member)) say(node, `the Design interface has no function '${member}'`)
      if (node.type !== 'Identifier' || !module.imports.has(node.name) || entries.has(node)) return undefined
      if (parent?.type === 'MemberExpression' && key === 'property' && !parent.computed) return undefined
      if (parent?.type === 'Property' && key === 'key') return undefined
      const target = program.resolve(module, node.name)
      if (target === null) return undefined
      const called = parent?.type === 'CallExpression' && key === 'callee'
      const read = parent?.type === 'MemberExpression' && key === 'object'
      if (called && target.kind !== 'function') say(node, `an indirect call (of '${node.name}')`)
      else if (!called && target.kind === 'function') say(node, `function '${node.name}' as a value`)
      else if (!called && !read && target.kind !== 'value' && isInFunction(module, node)) say(node, `table '${node.name}' as a value`)
      return undefined
    },
  })
}

function isInFunction(module: Module, node: Node): boolean {
  for (const { node: fn } of module.functions.values()) if (fn.start <= node.start && node.end <= fn.end) return true
  return false
}
