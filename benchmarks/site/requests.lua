-- wrk: one pre-signed request after the other; each thread reads its own share of the file.
local counter = 0
function setup(thread)
  thread:set("share", counter)
  counter = counter + 1
end

function init(args)
  requests, at = {}, 0
  local path, file, shares = args[1], args[2], tonumber(args[3])
  local number = 0
  for line in io.lines(file) do
    if number % shares == share then
      local headers = {}
      for name, value in line:gmatch("([^\t]+)\t([^\t]*)\t?") do headers[name] = value end
      requests[#requests + 1] = wrk.format("GET", path, headers)
    end
    number = number + 1
  end
end

function request()
  at = at + 1
  if at > #requests then
    if #requests == 1 then at = 1 else os.exit(3) end
  end
  return requests[at]
end

refused = 0
function response(status) if status ~= 200 then refused = refused + 1 end end

local threads = {}
local old_setup = setup
function setup(thread) old_setup(thread); table.insert(threads, thread) end

function done(summary, latency)
  local bad = 0
  for _, thread in ipairs(threads) do bad = bad + thread:get("refused") end
  io.write(string.format('RESULT {"requests": %d, "seconds": %.6f, "refused": %d, "p50_us": %d, "p99_us": %d}\n',
    summary.requests, summary.duration / 1e6, bad, latency:percentile(50), latency:percentile(99)))
end
