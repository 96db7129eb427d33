-- Arguments, behind "--": cold or hot; the beginning of the batch ids; how many batches a hot load asks
-- for; a body with @id@ in place of the batch id; headers as "name: value". Ends with one line of JSON.
local before, after
local cold
local count = 0
local batches = 0
local hot = {}

function init(args)
  local nonce, template = args[2], args[4]
  cold = args[1] == 'cold'
  batches = tonumber(args[3])
  local first, last = template:match('^(.*)@id@(.*)$')
  -- Every id is as long as every other, so that all but the id is put together once.
  local length = #first + #nonce + #'-00000000' + #last
  local lines = {
    string.format('POST %s HTTP/1.1', wrk.path),
    string.format('host: %s:%s', wrk.host, wrk.port),
    string.format('content-length: %d', length),
  }
  for i = 5, #args do lines[#lines + 1] = args[i] end
  before = table.concat(lines, '\r\n') .. '\r\n\r\n' .. first .. nonce .. '-'
  after = last
  for i = 1, batches do hot[i] = before .. string.format('%08d', i) .. after end
end

function request()
  count = count + 1
  if cold then return before .. string.format('%08d', count) .. after end
  return hot[count % batches + 1]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"seconds":%.6f,"p50":%.4f,"p99":%.4f,"errors":%d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
