-- A lock that several hold at once. Its hash has no id, but a field "=id" for each of them that says until
-- when (ms), with which token and for whom it is held; `capacity`, how many may hold it, 0 for any number;
-- `ends`, a time (ms) before which nobody looks for shares that are over; and `fence`, the last token.
local NOT_SHARES = 3
-- So many are looked at in a millisecond, on the average: a look takes time as there are shares.
local PACE = 20

-- What a waiter asks for besides the time to live: nil to be alone, or the capacity.
local function parse(terms)
  local ttl, capacity = string.match(terms, '^(%d+):?(%d*)$')
  return ttl, tonumber(capacity)
end

-- A lock's fields and values in turn.
local function each_share(lock)
  local fields, at = call('HGETALL', lock), -1
  return function()
    repeat at = at + 2 until not fields[at] or string.sub(fields[at], 1, 1) == '='
    if fields[at] then return string.sub(fields[at], 2), fields[at + 1] end
  end
end

-- Until when a share is held, its token and its owner.
local function read_share(share)
  return string.match(share, '^(%d+) (%d+) (.*)$')
end

-- Until when a share is held, as a number.
local function end_of(share)
  return tonumber(string.match(share, '^%d+'))
end

-- Forget the shares whose time is over.
-- returns false if none is left, and the lock is free
local function forget_ended(lock, ends)
  if tonumber(ends) > now() then return true end
  local earliest, count = math.huge, 0
  for id, share in each_share(lock) do
    local over = end_of(share)
    if over <= now() then
      call('HDEL', lock, '=' .. id)
    else
      earliest, count = math.min(earliest, over), count + 1
    end
  end
  if count == 0 then
    call('DEL', lock)
    return false
  end
  call('HSET', lock, 'ends', math.max(earliest, now() + math.floor(count / PACE)))
  return true
end

-- How many hold the lock.
local function count_shares(lock, queued)
  return call('HLEN', lock) - NOT_SHARES - (queued and 1 or 0)
end

local function has_room(lock, queued, capacity)
  return capacity == 0 or count_shares(lock, queued) < capacity
end

local function write_down(over, token, owner)
  return string.format('%.0f %s %s', over, token, owner)
end

-- Take the first share of a lock that is free.
local function open_shares(lock, id, owner, ttl, token, capacity, queued)
  local over = now() + ttl
  call('HSET', lock, 'fence', token, 'capacity', capacity, 'ends', over, '=' .. id, write_down(over, token, owner))
  call('PEXPIRE', lock, ttl)
  if queued then call('HSET', lock, 'queued', queued) end
end

-- Write down another share, or anew. The lock lasts as long as the longest.
local function write_share(lock, id, owner, ttl, token)
  local over = now() + ttl
  call('HSET', lock, '=' .. id, write_down(over, token, owner))
  if over < tonumber(call('HGET', lock, 'ends')) then call('HSET', lock, 'ends', over) end
  if call('PTTL', lock) < tonumber(ttl) then call('PEXPIRE', lock, ttl) end
end

-- Take another share.
local function add_share(lock, id, owner, ttl, token)
  call('HSET', lock, 'fence', token)
  write_share(lock, id, owner, ttl, token)
end

-- The share of `id`, if it has one that is not over.
local function share_of(lock, id)
  local share = call('HGET', lock, '=' .. id)
  return share and end_of(share) > now() and share
end

-- Those who share a lock must agree on how many may.
local function must_agree(capacity, other)
  if capacity ~= other then error({ err = 'PERMITS ' .. string.format('%.0f', other) }, 0) end
end
