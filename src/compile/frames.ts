// What the stepped code of one function says about its frame: at each place where it can stop, which locals and temporaries
// make up its state (liveness.ts, pending.ts), and where loops that wait begin and end (spin-loops.ts). step.ts writes it
// into the code, stepped/announce.ts receives it.
import type { CallExpression, Function as FunctionNode, Node } from 'oxc-parser'
import { walk } from 'oxc-walker'
import { analyseLiveness, type Names, Unknown } from './liveness.ts'
import { INSTRUCTIONS_MODULE, type Module } from './module.ts'
import { createTemporaries, localsRead } from './pending.ts'
import { callSteps, type Program, type Target } from './program.ts'
import { type Refusal, refuse } from './source.ts'
import { findSpinLoops, type SpinLoops } from './spin-loops.ts'
import { waitingTries } from './waiting-try.ts'

/** Instructions whose result cannot change while a function runs. */
const CONSTANT = ['thisCpu', 'perCpu', 'smpProcessorId']

/** The frame of one stepping function. */
export interface FramePlan {
  /** For each call that can stop: what is needed once it returns, sorted. */
  readonly needed: ReadonlyMap<CallExpression, readonly string[]>
  /** Expressions whose values go into temporaries, with the names. */
  readonly temporaries: ReadonlyMap<Node, string>
  readonly spins: SpinLoops
  /** Attempts that only wait where they fail (waiting-try.ts). */
  readonly waiting: ReadonlySet<CallExpression>
}

/** Plans the frame of `fn`, a stepping function of `module`. What cannot be planned is added to `refusals`. */
export function planFrame(program: Program, module: Module, fn: FunctionNode, refusals: Refusal[]): FramePlan {
  const { source } = module
  const locals = localsOf(fn, (node, name) => refusals.push(refuse(source, node, `local '${name}' hides another local`)))
  const resolve = (call: CallExpression): Target | null =>
    call.callee.type === 'Identifier' ? program.resolve(module, call.callee.name) : null
  const isConstant = (call: CallExpression): boolean => {
    const target = resolve(call)
    if (target !== null) return target.path === INSTRUCTIONS_MODULE && CONSTANT.includes(target.name)
    return call.callee.type === 'MemberExpression' && call.callee.object.type === 'Identifier' && call.callee.object.name === 'Math'
  }
  const isRelax = (call: CallExpression): boolean => {
    const target = resolve(call)
    return target?.path === INSTRUCTIONS_MODULE && target.name === 'relax'
  }
  const stops = (call: CallExpression): boolean => callSteps(program.resolve, module, call)
  // What the CPU's number determines tells no two states of it apart.
  const telling = new Set(locals)
  walk(fn.body as Node, {
    enter(node, parent) {
      if (node.type !== 'VariableDeclarator' || node.id.type !== 'Identifier' || node.init === null) return
      if (parent?.type === 'VariableDeclaration' && parent.kind === 'const' && localsRead(node.init, telling, isConstant)?.length === 0) {
        telling.delete(node.id.name)
      }
    },
  })
  for (const name of assignedTwice(fn)) telling.add(name)
  const temporaries = createTemporaries(telling, isConstant)
  try {
    const { needed, heads } = analyseLiveness(fn, telling, stops, temporaries)
    const spins = findSpinLoops(fn, isRelax, heads)
    for (const node of spins.stray) {
      refusals.push(refuse(source, node, `relax outside a loop: executors could not see what is waited for`))
    }
    for (const node of temporaries.impossible) {
      refusals.push(refuse(source, node, `a local that is assigned again while it waits to be assigned to`))
    }
    return {
      needed: new Map([...needed].map(([call, names]) => [call, [...names].sort()])),
      temporaries: temporaries.names,
      spins,
      waiting: waitingTries(program, module, fn),
    }
  } catch (thrown) {
    if (!(thrown instanceof Unknown)) throw thrown
    refusals.push(refuse(source, thrown, `${thrown.message} in a function that steps`))
    return { needed: new Map(), temporaries: new Map(), spins: { whole: new Map(), leaving: new Map(), stray: [] }, waiting: new Set() }
  }
}

/** Names that are declared more than once, in scopes side by side: taken as one variable. */
function assignedTwice(fn: FunctionNode): string[] {
  const names: string[] = []
  walk(fn.body as Node, {
    enter: (node) => void (node.type === 'VariableDeclarator' && node.id.type === 'Identifier' && names.push(node.id.name)),
  })
  return names.filter((name, i) => names.indexOf(name) !== i)
}

/** The parameters and variables of `fn`. A name that is declared again inside its own scope is told to `hides`. */
function localsOf(fn: FunctionNode, hides: (node: Node, name: string) => void): Names {
  const scopes: Set<string>[] = [new Set()]
  const all = new Set<string>()
  const declare = (node: Node, name: string): void => {
    if (scopes.some((scope) => scope.has(name))) hides(node, name)
    scopes.at(-1)?.add(name)
    all.add(name)
  }
  for (const param of fn.params) if (param.type === 'Identifier') declare(param, param.name)
  const opens = (node: Node): boolean => node.type === 'BlockStatement' || node.type === 'ForStatement' || node.type === 'SwitchStatement'
  walk(fn.body as Node, {
    enter(node) {
      if (opens(node)) scopes.push(new Set())
      if (node.type === 'VariableDeclarator' && node.id.type === 'Identifier') declare(node, node.id.name)
    },
    leave: (node) => void (opens(node) && scopes.pop()),
  })
  return all
}
