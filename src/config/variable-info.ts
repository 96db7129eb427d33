import { z } from 'zod';
import type { Decoder } from './decoders.ts';

/** What is told of one environment variable. */
export interface VariableInfo {
  /** What it accepts, for whoever got it wrong. */
  accepts: string;
  /** One line for `docs/settings.md` and `.env.example`. */
  meaning: string;
  /** Its default as it would be written; undefined when it has none. */
  fallback?: string;
  /** Its value is never shown. */
  secret?: true;
  /**
   * Whether a file of TENANTS_DIR may set it: `own`, what tells the tenants apart, is then set there alone; of what is
   * `shared`, the environment has the default of all. Undefined: it is the process's.
   */
  perTenant?: 'own' | 'shared';
}

type More = Pick<VariableInfo, 'secret' | 'perTenant'>;

/** By the schema of a variable, as {@link optional} and {@link withDefault} make it. */
export const variableInfos = z.registry<VariableInfo>();

/** A variable that may be left out: undefined then, whatever `meaning` says follows from that. */
export function optional<T>({ schema, accepts }: Decoder<T>, meaning: string, more: More = {}) {
  return schema.optional().register(variableInfos, { accepts, meaning, ...more });
}

/** A variable that, left out, is read as if `fallback` were written there. */
export function withDefault<T>(
  fallback: string,
  { schema, accepts }: Decoder<T>,
  meaning: string,
  more: More = {},
) {
  return schema.prefault(fallback).register(variableInfos, { accepts, meaning, fallback, ...more });
}
