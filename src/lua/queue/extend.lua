-- Set the remaining time of our lock, for which somebody waits.
-- returns 1 extended | as release
function steps.extend(lock, queue, ttl, queued)
  local number = tonumber(ttl)
  local is_whole = number == math.floor(number) and number >= -2 ^ 53
  if number <= 0 and is_whole then return steps.release(lock, queue, queued) end
  local left = call('PTTL', lock)
  local expires = call('PEXPIRE', lock, ttl)
  -- Those who wait look again when the lock was to end, which is later than it does now.
  local waiter = number < left and first(queue, 0)
  if waiter then
    local _, process = parts(waiter)
    tell(process, 'look ' .. lock)
  end
  return expires
end
