-- The queue of one lock: a sorted set, so that all of it expires together.
--
-- A waiter is a member "id process terms owner", and its score is its ticket; its terms are its ttl, and
-- behind a colon the capacity if it would share the lock. Notes have scores below
-- zero: for a process minus the time (ms) until which it is known to be alive, for "version-2" minus
-- the time until which such processes are taken to contend, for "window" minus the end of the barge
-- window, for "delay" minus the length of one, for "theirs" minus the time (s) since which the lock
-- is theirs, for "shut" minus the time before which there is no window, for "pause" minus how long
-- that was put off because nobody took the last, and for "permits" minus the capacity waiters asked for.

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
-- Dead or silent waiters that one step goes past, and waiters it gives a share to.
local MOST = 64

local FREE, OURS, FOREIGN, WINDOW, SHARED = 0, 1, 2, 3, 4

local function note(queue, name)
  return -(tonumber(call('ZSCORE', queue, name)) or 0)
end

-- Who has the lock: its kind, and where it is not free its id, '' if it is shared; where it is ours its
-- token; nil, or if somebody waits the number of hand-offs since a barge window; and if it is shared its
-- capacity.
local function look(lock)
  local fields = redis.pcall('HMGET', lock, 'id', 'fence', 'queued', 'capacity', 'ends')
  if fields.err then
    if string.find(fields.err, 'WRONGTYPE', 1, true) then return FOREIGN, '' end
    error(fields, 0)
  end
  local id, fence, queued, capacity, ends = unpack(fields)
  if capacity and not forget_ended(lock, ends) then return FREE, '' end
  if fence then return OURS, id or '', fence, tonumber(queued), tonumber(capacity) end
  if id or call('EXISTS', lock) == 1 then return FOREIGN, id or '' end
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

local function member(id, owner, terms)
  return id .. ' ' .. PROCESS .. ' ' .. terms .. ' ' .. owner
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

-- Who is first after `passed` others is to beat now; this process is, if that one is dead or silent.
local function tell_first(lock, queue, passed)
  local waiter = first(queue, passed)
  if not waiter then return end
  local _, process = parts(waiter)
  local alive = note(queue, process) > now()
  if not alive or tell(process, 'look ' .. lock) == 0 then tell(PROCESS, 'look ' .. lock) end
end

-- Give a waiter the lock, or a share of it if others have some. `here`: it knows, for it asks here and now.
-- returns whether it heard of that
local function grant(lock, queued, shared, waiter, token, here)
  local id, process, terms, owner = parts(waiter)
  local ttl, capacity = parse(terms)
  if not here then ttl = math.min(ttl, CLAIM) end
  if shared then
    add_share(lock, id, owner, ttl, token)
  elseif capacity then
    call('DEL', lock)
    open_shares(lock, id, owner, ttl, token, capacity, queued)
  else
    call('HSET', lock, 'id', id, 'owner', owner, 'fence', token, 'queued', queued)
    call('PEXPIRE', lock, ttl)
  end
  if here then return true end
  local message = string.format('granted %s %s %.0f ', id, token, now()) .. lock
  if tell(process, message) > 0 then return true end
  if shared then call('HDEL', lock, '=' .. id) else call('DEL', lock) end
  return false
end

-- Give the lock, which is free or if `capacity` is given shared with room for more, to the first waiters
-- whose processes are alive and hear of it; those of this process that `knows` accepts need no message. The
-- dead leave the queue, the silent are passed over. Nobody is told before it is written down, which may be
-- refused. What is too much for one step is left to the next beat, which is then due at once.
-- returns whether anybody got it, and the ids and tokens of those that were told nothing
local function promote(lock, queue, queued, capacity, knows)
  local passed, granted, handed = 0, false, {}
  for turn = 1, MOST do
    local waiter = first(queue, passed)
    if not waiter then break end
    local id, process, terms = parts(waiter)
    local _, asked = parse(terms)
    local here = process == PROCESS
    if not here and note(queue, process) <= now() then
      call('ZREM', queue, waiter, process)
    elseif capacity and not (asked == capacity and has_room(lock, true, capacity)) then
      break
    else
      local token = next_number()
      here = here and knows(id)
      local done, heard = pcall(grant, lock, queued, capacity, waiter, token, here)
      if not done and not granted then error(heard, 0) end
      if not done then break end
      if heard then
        call('ZREM', queue, waiter)
        if here then
          handed[#handed + 1], handed[#handed + 2] = id, token
        end
        granted, capacity = true, asked
        if not asked then break end
      else
        passed = passed + 1
      end
    end
    -- If all are silent, another beat would find the same.
    if turn == MOST and passed < MOST then tell_first(lock, queue, passed) end
  end
  return granted, handed
end

local function knows_all()
  return true
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

-- Nobody holds the lock any more: the first waiters get it, unless it is the turn of version-2
-- processes.
-- returns the ids and tokens of waiters of this process that got it
local function hand_on(lock, queue, queued)
  if queued >= TURNS then
    queued = 0
    local length = first(queue, 0) and window(queue)
    if length then
      call('DEL', lock)
      call('ZADD', queue, -(now() + length), 'window', -now() / 1000, 'theirs')
      tell_first(lock, queue, 0)
      return {}
    end
  end
  local done, granted, handed = pcall(promote, lock, queue, queued + 1, nil, knows_all)
  if done and granted then return handed end
  -- A server that is full refuses the grant, but not the release.
  call('DEL', lock)
  tidy(queue)
  return {}
end

-- What a step that lets go of a lock answers.
local function released(handed)
  return handed[1] and handed or 1
end

-- Whoever finds the lock free with a queue before it hands it on, but not in a barge window; and whoever
-- finds room for another share gives it to the first waiter. Who asks, as `id`, learns from the answer what it
-- was given; all others are told, also those of its process.
-- returns the kind of holder after that, and what is left of a window
local function mend(lock, queue, id, kind, queued, capacity)
  if kind == OURS and capacity and queued and has_room(lock, true, capacity) then
    promote(lock, queue, queued, capacity, function(other) return other == id end)
  end
  if kind ~= FREE then return kind end
  local ends = note(queue, 'window')
  if ends > now() then return WINDOW, ends - now() end
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
  local granted = promote(lock, queue, 1, nil, function(other) return other == id end)
  return granted and OURS or FREE
end

-- What the process of `id` is told: the kind of holder, its time left, its id and token, and the time. Of a
-- lock that is shared: its own share, or when the next may be over. `holder`, `token`: of who has it alone, if
-- that is known.
local function view(lock, id, kind, left, holder, token)
  if kind ~= OURS then return { kind, left or call('PTTL', lock), '', '0', now() } end
  local _, capacity
  if not holder then _, holder, token, _, capacity = look(lock) end
  local share = capacity and share_of(lock, id)
  if share then
    local over
    over, token = read_share(share)
    return { OURS, over - now(), id, token, now() }
  end
  if not capacity then return { OURS, call('PTTL', lock), holder, token, now() } end
  return { SHARED, call('HGET', lock, 'ends') - now(), '', '0', now() }
end

-- A version-2 process holds the lock.
local function met_version_2(queue, delay)
  call('ZADD', queue, -(now() + SEEN), 'version-2', -delay, 'delay')
  call('ZADD', queue, 'NX', -now() / 1000, 'theirs')
  call('ZREM', queue, 'window', 'shut', 'pause')
end
