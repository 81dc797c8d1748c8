-- What the steps of a batch share: one look at the clock, and the numbers that tokens and tickets are
-- made of. Errors of commands end the step they are in, and only that.
local FENCE, PROCESS = KEYS[1], ARGV[1]

local call = redis.call
local seconds, microseconds, milliseconds

local function read_clock()
  local time = call('TIME')
  seconds, microseconds = time[1], tonumber(time[2])
end

-- The server's time in milliseconds, the same for the whole batch.
local function now()
  if not seconds then read_clock() end
  milliseconds = milliseconds or seconds * 1000 + math.floor(microseconds / 1000)
  return milliseconds
end

-- The last number given out, in digits; and from the second on what is before its last digit, and that.
local last_number, high, low

-- A number larger than all before it: the server's time in microseconds, or one more than the last
-- if that is not past yet. So the clock stands in for a counter that was lost. In digits, of which
-- mostly one is new, because writing out a number of this size is the dearest part of a step.
local function next_number()
  if not last_number then
    if not seconds then read_clock() end
    local number, last = seconds .. string.sub(1000000 + microseconds, 2), call('GET', FENCE)
    if (tonumber(last) or 0) >= tonumber(number) then number = string.format('%.0f', last + 1) end
    last_number = number
    return number
  end
  if not low then high, low = string.sub(last_number, 1, -2), tonumber(string.sub(last_number, -1)) end
  low = low + 1
  if low > 9 then
    high, low = string.format('%.0f', high + 1), 0
  end
  last_number = high .. string.sub('0123456789', low + 1, low + 1)
  return last_number
end

-- The answer of a step that failed with this error.
local function refused(failure)
  if type(failure) == 'table' then return failure end
  -- Errors of commands begin with their code, those of Lua with a place.
  return { err = string.find(failure, '^%u+ ') and failure or 'ERR ' .. failure }
end

-- The answers of all steps; the last number given out stays known for 90 days.
local function finish(answers)
  if last_number then redis.pcall('SET', FENCE, last_number, 'PX', '7776000000') end
  return answers
end

-- Renew our lock, if it does not last longer: a repeated acquire may come behind an extension.
local function renew(lock, ttl)
  if call('PTTL', lock) < tonumber(ttl) then call('PEXPIRE', lock, ttl) end
end

local function take(lock, id, owner, ttl, token)
  token = token or next_number()
  call('HSET', lock, 'id', id, 'owner', owner, 'fence', token)
  local expires = redis.pcall('PEXPIRE', lock, ttl)
  if expires == 1 then return token end
  -- A lock without an end would be for ever.
  call('DEL', lock)
  return expires
end
