-- Whether `number` ends a lock: PEXPIRE itself refuses what is not whole.
local function is_end(number)
  return number <= 0 and number == math.floor(number) and number >= -2 ^ 53
end

-- Set the remaining time of our lock, for which somebody waits.
-- returns 1 extended | as release
function steps.extend(lock, queue, ttl, queued)
  local number = tonumber(ttl)
  if is_end(number) then return steps.release(lock, queue, queued) end
  local left = call('PTTL', lock)
  local expires = call('PEXPIRE', lock, ttl)
  -- Those who wait look again when the lock was to end, which is later than it does now.
  if number < left then tell_first(lock, queue, 0) end
  return expires
end

-- Set the remaining time of our share.
-- returns 0 not held by us | 1 extended | as release
function steps.extend_share(lock, queue, id, ttl)
  local _, _, _, queued, capacity = look(lock)
  local share = capacity and share_of(lock, id)
  if not share then return 0 end
  local number = tonumber(ttl)
  if is_end(number) then return steps.release_share(lock, queue, id) end
  local left = call('PTTL', lock)
  -- Refuses what is no time. A lock lasts as long as the longest of its shares.
  call('PEXPIRE', lock, ttl)
  if left > number then call('PEXPIRE', lock, left) end
  local over, token, owner = read_share(share)
  write_share(lock, id, owner, number, token)
  if queued and now() + number < tonumber(over) then tell_first(lock, queue, 0) end
  return 1
end
