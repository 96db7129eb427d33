/** The gateway believes this process, and reads a caller's address in a header. */
export const CALLERS_ENV = { TRUSTED_PROXIES: '127.0.0.1' };

/** The header of a caller with this address. */
export function fromAddress(address: string): Record<string, string> {
  return { 'x-forwarded-for': address };
}

export const GOOD_ADDRESS = fromAddress('192.0.2.1');
export const BAD_ADDRESS = fromAddress('198.51.100.1');

/** For `os.setPriority`: the good clients on the same core must not wait for the bad ones. */
export const BAD_NICENESS = 10;
