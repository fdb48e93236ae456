export interface Registry {
  readonly path: string
  readonly text: string
}
export function registries(kernel?: string): readonly Registry[]
export function writeRegistries(kernel?: string): void
