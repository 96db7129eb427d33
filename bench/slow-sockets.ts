/** Holds sockets that never send a whole request; one that is closed is followed by another. */
import { connect } from 'node:net';

const [, , port, count] = process.argv;

function open(): void {
  const socket = connect(Number(port), '127.0.0.1');
  socket.on('error', () => {});
  socket.once('connect', () => socket.write('POST /graphql HTTP/1.1\r\nHost: local'));
  socket.once('close', () => setTimeout(open, 1_000 * Math.random()));
}

for (let opened = 0; opened < Number(count); opened += 1) open();
