-- As wrk.lua, but at a pace: PACE requests a second from this thread, whatever the answers take.
dofile(os.getenv("BASE"))
local ffi = require("ffi")
ffi.cdef "typedef struct { long s; long ns; } moment; int clock_gettime(int, moment*);"
local moment, every_ms, due_ms = ffi.new("moment"), 1000 / tonumber(os.getenv("PACE")), 0

function delay()
    ffi.C.clock_gettime(1, moment)
    local now_ms = tonumber(moment.s) * 1000 + tonumber(moment.ns) / 1e6
    due_ms = due_ms == 0 and now_ms or math.max(due_ms + every_ms, now_ms - 1000)  -- at most a second is made up for
    return math.max(0, due_ms - now_ms)
end
