/** The upstream where nginx is not installed; answers for its number as nginx's stub_status does. */
import { createServer } from 'node:http';
import { sendJson } from './loopback.ts';
import { ENVELOPE } from './workloads.ts';

const [port, statusPort] = process.argv.slice(2).map(Number);
let requests = 0;

const server = createServer({ keepAliveTimeout: 3_600_000 }, (_request, response) => {
  requests += 1;
  sendJson(response, ENVELOPE);
});
server.listen(port, '127.0.0.1');

createServer((_request, response) => {
  requests += 1;
  response.end(` 0 0 ${requests} \n`);
}).listen(statusPort, '127.0.0.1');
