// The modules of a kernel linked together: what each name finally stands for, and which functions can reach a step (a
// fixpoint over the call graph). A built kernel is remembered as a summary, against which one more file can be linked.
import type { CallExpression, Node } from 'oxc-parser'
import { ANNOTATIONS_MODULE, DESIGN_MODULE, designMember, INSTRUCTIONS_MODULE, type Module, type NameKind } from './module.ts'
import { bare, type Refusal, refuse } from './source.ts'
import { isStep } from './stepped/ops.ts'

/** What the built kernel exports: module → name → kind, and for functions whether they step. */
export interface Summary {
  readonly modules: { readonly [path: string]: { readonly [name: string]: { readonly kind: NameKind; readonly steps: boolean } } }
  /** Functions of the `Design` interface. */
  readonly designMembers: readonly string[]
}

/** What a name stands for: `name` of module `path`. */
export interface Target {
  readonly path: string
  readonly name: string
  readonly kind: NameKind
  readonly steps: boolean
}

/** Linked modules. */
export interface Program {
  readonly modules: ReadonlyMap<string, Module>
  readonly designMembers: ReadonlySet<string>
  /** What `name` means inside `module`; null if it is no module-level name there. */
  resolve(module: Module, name: string): Target | null
  /** Whether function `name`, declared in `module`, is made a generator. */
  steps(module: Module, name: string): boolean
  /** Links that lead nowhere or out of the rules. */
  readonly refusals: readonly Refusal[]
}

/** Whether the module at `path` is replaced in the stepped build, so that its functions are instructions. */
export function isReplaced(path: string): boolean {
  return path === INSTRUCTIONS_MODULE || path === ANNOTATIONS_MODULE
}

/** Function members of the `Design` interface of `module`. */
function readDesignMembers(module: Module | undefined): string[] {
  const members: string[] = []
  for (const member of module?.interfaces.get('Design')?.body.body ?? []) {
    if (member.type === 'TSMethodSignature' && member.key.type === 'Identifier') members.push(member.key.name)
    if (
      member.type === 'TSPropertySignature' &&
      member.key.type === 'Identifier' &&
      member.typeAnnotation?.typeAnnotation.type === 'TSFunctionType'
    ) {
      members.push(member.key.name)
    }
  }
  return members
}

/** Links `modules` with each other and, where a path is not among them, with `base`. */
export function link(modules: ReadonlyMap<string, Module>, base?: Summary): Program {
  const stepping = new Set<string>()
  const refusals: Refusal[] = []
  const design = modules.get(DESIGN_MODULE)
  const designMembers = new Set(design === undefined ? (base?.designMembers ?? []) : readDesignMembers(design))

  const lookUp = (path: string | null, name: string, depth: number): Target | null => {
    if (path === null || depth > 20) return null
    const module = modules.get(path)
    if (module === undefined) {
      const known = base?.modules[path]?.[name]
      return known === undefined ? null : { path, name, ...known }
    }
    const exported = module.exports.get(name)
    if (exported === undefined) {
      for (const star of module.exportStars) {
        const found = lookUp(star, name, depth + 1)
        if (found !== null) return found
      }
      return null
    }
    if ('module' in exported) return lookUp(exported.module, exported.name, depth + 1)
    return local(module, exported.local, depth + 1)
  }
  const local = (module: Module, name: string, depth: number): Target | null => {
    const kind = module.kinds.get(name)
    if (kind !== undefined) return { path: module.source.path, name, kind, steps: stepping.has(`${module.source.path}#${name}`) }
    const imported = module.imports.get(name)
    return imported === undefined ? null : lookUp(imported.module, imported.name, depth)
  }
  const resolve = (module: Module, name: string): Target | null => local(module, name, 0)

  for (const module of modules.values()) {
    if (module.source.path === INSTRUCTIONS_MODULE) {
      for (const name of module.functions.keys()) if (isStep(name)) stepping.add(`${INSTRUCTIONS_MODULE}#${name}`)
    }
    for (const [name, imported] of module.imports) {
      if (imported.isType || imported.name === '*' || imported.module === null) continue
      if (lookUp(imported.module, imported.name, 0) === null) {
        refusals.push(refuse(module.source, imported, `'${name}' is not exported by ${imported.module}`))
      }
    }
    for (const { value } of module.designEntries) {
      const node = bare(value)
      const target = node.type === 'Identifier' ? resolve(module, node.name) : null
      if (target?.kind !== 'function') continue
      if (modules.has(target.path) && !isReplaced(target.path)) stepping.add(`${target.path}#${target.name}`)
      else if (!target.steps || isReplaced(target.path)) {
        refusals.push(
          refuse(module.source, node, `'${target.name}' is already built as a function that does not step: wrap it in one of this file`),
        )
      }
    }
  }
  reachSteps(modules, stepping, resolve)
  return { modules, designMembers, resolve, steps: (module, name) => stepping.has(`${module.source.path}#${name}`), refusals }
}

/** Whether `call` in `module` can step: a step instruction, a stepping function, or any function of a design. */
export function callSteps(resolve: Program['resolve'], module: Module, call: CallExpression): boolean {
  const callee: Node = call.callee
  if (callee.type === 'Identifier') return resolve(module, callee.name)?.steps ?? false
  return designMember(module, callee) !== null
}

/** Adds to `stepping` every function that reaches a step. */
function reachSteps(modules: ReadonlyMap<string, Module>, stepping: Set<string>, resolve: Program['resolve']): void {
  for (let changed = true; changed; ) {
    changed = false
    for (const module of modules.values()) {
      if (isReplaced(module.source.path)) continue
      for (const { name, calls } of module.functions.values()) {
        const id = `${module.source.path}#${name}`
        if (!stepping.has(id) && calls.some((call) => callSteps(resolve, module, call))) {
          stepping.add(id)
          changed = true
        }
      }
    }
  }
}

/** What later files need to know of a linked kernel. */
export function summarise(program: Program): Summary {
  const modules: Record<string, Record<string, { kind: NameKind; steps: boolean }>> = {}
  const add = (module: Module, into: Record<string, { kind: NameKind; steps: boolean }>, seen: Set<Module>): void => {
    if (seen.has(module)) return
    seen.add(module)
    for (const [name, exported] of module.exports) {
      const target = 'local' in exported ? program.resolve(module, exported.local) : null
      const passed = 'local' in exported ? target : passedOn(program, exported.module, exported.name)
      if (passed !== null) into[name] = { kind: passed.kind, steps: passed.steps }
    }
    for (const star of module.exportStars) {
      const from = star === null ? undefined : program.modules.get(star)
      if (from !== undefined) add(from, into, seen)
    }
  }
  for (const [path, module] of [...program.modules].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const names: Record<string, { kind: NameKind; steps: boolean }> = {}
    add(module, names, new Set())
    modules[path] = names
  }
  return { modules, designMembers: [...program.designMembers] }
}

function passedOn(program: Program, path: string | null, name: string): Target | null {
  const module = path === null ? undefined : program.modules.get(path)
  const exported = module?.exports.get(name)
  if (module === undefined || exported === undefined) return null
  return 'local' in exported ? program.resolve(module, exported.local) : passedOn(program, exported.module, exported.name)
}
