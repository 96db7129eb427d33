import { Socket } from 'node:net';

/** Tests talk to loopback only: a connection to anywhere else is a failure, not a call. */
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/;
const connect = Socket.prototype.connect;

function hostOf(args: unknown[]): string {
  const [first, second] = Array.isArray(args[0]) ? args[0] : args;
  if (typeof first === 'object' && first !== null) {
    if ('path' in first && typeof first.path === 'string') return 'localhost';
    return 'host' in first && typeof first.host === 'string' ? first.host : 'localhost';
  }
  return typeof second === 'string' ? second : 'localhost';
}

function checkedConnect(this: Socket, ...args: unknown[]): Socket {
  const host = hostOf(args);
  if (!LOOPBACK.test(host)) throw new Error(`a test tried to connect to ${host}`);
  return Reflect.apply(connect, this, args);
}
// Once in a process, although this is loaded for each file.
if (connect.name !== checkedConnect.name) Socket.prototype.connect = checkedConnect;
