-- Posts prepared requests in turn, over and over, and reports as one line of JSON. Used by `load.py`.
-- wrk -s post.lua URL -- FILE; each line of FILE: path, tab, headers as name=value joined by \x1f, tab, body.

local requests, count, at = {}, 0, 0
-- A global, since `done` can read only those of a thread.
refused = 0
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  for line in io.lines(args[1]) do
    local path, fields, body = line:match("^([^\t]*)\t([^\t]*)\t(.*)$")
    local headers = { ["Content-Type"] = "application/json" }
    for name, value in fields:gmatch("([^=\x1f]+)=([^\x1f]*)") do
      headers[name] = value
    end
    count = count + 1
    requests[count] = wrk.format("POST", path, headers, body)
  end
end

function request()
  at = at % count + 1
  return requests[at]
end

function response(status, _, body)
  -- An answer that is not the expected "allowed" must not be counted as one.
  if status ~= 200 or not body:find("true", 1, true) then
    refused = refused + 1
  end
end

function done(summary, latency, _)
  local failed = 0
  for _, thread in ipairs(threads) do
    failed = failed + (thread:get("refused") or 0)
  end
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "microseconds": %d, "p50": %.1f, "p99": %.1f, "refused": %d, "errors": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), failed,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
