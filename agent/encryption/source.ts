/** Where a site keeps the keys of its tenants. */
export interface TenantKey {
  /** TENANT/NAME. */
  readonly id: string;
  readonly key: Buffer;
}

export interface KeySource {
  /** The key that a user's checkpoints are written with now. @throws KEY_UNAVAILABLE when there is none */
  newest(user: string): Promise<TenantKey>;
  /** @throws KEY_UNAVAILABLE naming the id */
  find(id: string): Promise<TenantKey>;
}
