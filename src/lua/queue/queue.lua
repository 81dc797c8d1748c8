-- The queue of one lock: a sorted set, so that all of it expires together.
--
-- A waiter is a member "id process ttl owner", and its score is its ticket. Notes have scores below
-- zero: for a process minus the time (ms) until which it is known to be alive, for "version-2" minus
-- the time until which such processes are taken to contend, for "window" minus the end of the barge
-- window, for "delay" minus the length of one, for "theirs" minus the time (s) since which the lock
-- is theirs, for "shut" minus the time before which there is no window, and for "pause" minus how long
-- that was put off because nobody took the last.

-- The longest a waiter holds the lock before it says that it knows (ms).
local CLAIM = 2000
-- A process is taken to be alive for this long after its last beat (ms).
local ALIVE = 3000
-- The queue goes this long after the last beat of anybody (ms).
local KEPT = 10000
-- Version-2 processes are taken to contend for this long after one held the lock (ms).
local SEEN = 300000
-- With version-2 processes around, the lock is left free for them after this many hand-offs, but not
-- before we had it for as long as they had; and if none of them took it not for a while: for this long
-- (ms) if they were seen to hold it, or if it is only known that there were some, and at most.
local TURNS, PAUSE, UNSEEN_PAUSE, LONGEST_PAUSE = 4, 100, 1000, 60000
-- The length of a barge window, while nobody has seen a version-2 lock: its default `retryDelay` (ms).
local DELAY = 50
-- Dead or silent waiters that one step goes past.
local MOST = 64

local FREE, OURS, FOREIGN, WINDOW = 0, 1, 2, 3

local function note(queue, name)
  return -(tonumber(call('ZSCORE', queue, name)) or 0)
end

-- Who has the lock: its kind, and where it is not free its id; where it is ours its token, and
-- nil, or if somebody waits the number of hand-offs since a barge window.
local function look(lock)
  local fields = redis.pcall('HMGET', lock, 'id', 'fence', 'queued')
  if fields.err then
    if string.find(fields.err, 'WRONGTYPE', 1, true) then return FOREIGN, '' end
    error(fields, 0)
  end
  if fields[2] then return OURS, fields[1] or '', fields[2], tonumber(fields[3]) end
  if fields[1] or call('EXISTS', lock) == 1 then return FOREIGN, fields[1] or '' end
  return FREE, ''
end

-- Say that the process of this batch is alive, and keep the queue for it.
local function keep(queue)
  if call('ZADD', queue, -(now() + ALIVE), PROCESS) == 1 then
    -- It is new here: forget those that are gone. Other notes are smaller than any time.
    call('ZREMRANGEBYSCORE', queue, '(' .. -now(), '(-1e12')
  end
  call('PEXPIRE', queue, KEPT)
end

local function member(id, owner, ttl)
  return id .. ' ' .. PROCESS .. ' ' .. ttl .. ' ' .. owner
end

local function parts(waiter)
  return string.match(waiter, '^(%S+) (%S+) (%S+) (.*)$')
end

local function first(queue, after)
  return call('ZRANGEBYSCORE', queue, 0, '+inf', 'LIMIT', after, 1)[1]
end

-- How many of the process hear `message`.
local function tell(process, message)
  return call('PUBLISH', 'dist-lock:process:' .. process, message)
end

-- Give the lock to the first waiter whose process is alive and hears of it; a process that asks
-- here and now needs no message. The dead leave the queue, the silent are passed over. Nobody is told
-- before it is written down, which may be refused.
-- returns the waiter's id, its token, and whether it belongs to the process of this batch | nil
local function promote(lock, queue, queued)
  local passed, token, written = 0, nil, false
  for _ = 1, MOST do
    local waiter = first(queue, passed)
    if not waiter then break end
    local id, process, ttl, owner = parts(waiter)
    local here = process == PROCESS
    if not here and note(queue, process) <= now() then
      call('ZREM', queue, waiter, process)
    else
      token = token or next_number()
      call('HSET', lock, 'id', id, 'owner', owner, 'fence', token, 'queued', queued)
      call('PEXPIRE', lock, here and ttl or math.min(ttl, CLAIM))
      written = true
      if here or tell(process, string.format('granted %s %s %.0f', id, token, now())) > 0 then
        call('ZREM', queue, waiter)
        return id, token, here
      end
      passed = passed + 1
    end
  end
  if written then call('DEL', lock) end
end

-- Version-2 processes contend: they are told nothing and need a moment in which the lock is free.
-- returns its length, nil if there is to be none now
local function window(queue)
  if ARGV[2] ~= '1' and note(queue, 'version-2') <= now() then return end
  if note(queue, 'shut') > now() then return end
  local delay = note(queue, 'delay')
  -- One that just tried in vain tries again within it, though its timer may be late.
  return 1.25 * (delay > 0 and delay or DELAY)
end

-- Nobody waits any more, perhaps: then the queue goes, unless it is to be remembered that version 2 did
-- not use its window.
local function tidy(queue)
  if not first(queue, 0) and note(queue, 'shut') <= now() then call('DEL', queue) end
end

-- Nobody holds the lock any more: the first waiter gets it, unless it is the turn of version-2
-- processes.
-- returns the id and the token of a waiter of this process that got it, '' and 0 if there is none
local function hand_on(lock, queue, queued)
  if queued >= TURNS then
    queued = 0
    local waiter, length = first(queue, 0), window(queue)
    if waiter and length then
      call('DEL', lock)
      call('ZADD', queue, -(now() + length), 'window', -now() / 1000, 'theirs')
      local _, process = parts(waiter)
      tell(process, 'look ' .. lock)
      return '', 0
    end
  end
  local done, id, token, here = pcall(promote, lock, queue, queued + 1)
  if not done or not id then
    -- A server that is full refuses the grant, but not the release.
    call('DEL', lock)
    tidy(queue)
    return '', 0
  end
  if here then return id, token end
  return '', 0
end

-- Whoever finds the lock free with a queue before it hands it on, but not in a barge window.
-- returns the kind of holder after that, its id and its token, and what is left of a window
local function mend(lock, queue)
  local ends = note(queue, 'window')
  if ends > now() then return WINDOW, '', 0, ends - now() end
  local since = 1000 * note(queue, 'theirs')
  if since > 0 then
    -- Handing on takes longer than what they do, which is to try again at once.
    local pause = 1.5 * (now() - since)
    if ends > 0 then
      local least = note(queue, 'version-2') > now() and PAUSE or UNSEEN_PAUSE
      pause = math.min(math.max(2 * note(queue, 'pause'), least), LONGEST_PAUSE)
      call('ZADD', queue, -pause, 'pause')
    end
    call('ZREM', queue, 'window', 'theirs')
    call('ZADD', queue, -(now() + pause), 'shut')
  end
  local id, token = promote(lock, queue, 1)
  if not id then return FREE, '', 0 end
  return OURS, id, token
end

-- A version-2 process holds the lock.
local function met_version_2(queue, delay)
  call('ZADD', queue, -(now() + SEEN), 'version-2', -delay, 'delay')
  call('ZADD', queue, 'NX', -now() / 1000, 'theirs')
  call('ZREM', queue, 'window', 'shut', 'pause')
end
