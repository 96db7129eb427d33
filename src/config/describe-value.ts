import { infoOf, type VariableName } from './variables.ts';

/**
 * What a faulty variable is, as the end of a sentence that begins with its name. Shows what it holds only where that
 * can be no secret, whichever variable somebody put it into: numbers, addresses, one short word, the host of a URL.
 */
export function describeValue(name: VariableName, text: string): string {
  const shown = infoOf(name).secret ? [undefined] : text.split(',').map(toShown);
  return shown.includes(undefined) || shown.join().length > MAX_SHOWN
    ? `is not valid (${text.length} characters, not shown)`
    : `is ${JSON.stringify(shown.join())}`;
}

const MAX_SHOWN = 100;
const NUMBER = /^[-+]?\d{0,9}[.,]?\d{1,3}\s?[a-z%]{0,3}$/i;
const ADDRESS = /^\d{1,3}(?:\.\d{1,3}){3}(?:[/:]\d{1,5})?$/;
const WORD = /^[a-z-]{0,12}$/i;
const HOST_OF_URL = /^[a-z]{2,10}:\/\/[a-z\d.:*-]+\/?$/i;
const SCHEME = /^(?:https?|ftp|wss?|file|capacitor|ionic):(?:\/\/)?/i;

function toShown(text: string): string | undefined {
  const item = text.trim();
  if ([NUMBER, ADDRESS, WORD, HOST_OF_URL].some((pattern) => pattern.test(item))) return item;
  const [scheme] = SCHEME.exec(item) ?? [];
  return scheme && `${scheme}[not shown]`;
}
