-- Set the remaining time of the lock if, and only if, its id is ours; zero or less frees it.
-- returns 1 extended | 0 not held by us | ids and tokens of waiters of our process that have it now
local function extend(lock, queue, id, ttl)
  local holder = call('HMGET', lock, 'id', 'queued')
  if not holder[1] then return queued().extend_share(lock, queue, id, ttl) end
  if holder[1] ~= id then return 0 end
  if not holder[2] then return call('PEXPIRE', lock, ttl) end
  return queued().extend(lock, queue, ttl, tonumber(holder[2]))
end
