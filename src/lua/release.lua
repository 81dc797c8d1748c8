-- Free the lock if, and only if, its id is ours, for the first of those who wait.
-- returns 1 released | 0 not held by us | ids and tokens of waiters of our process that have it now
local function release(lock, queue, id)
  local holder = call('HMGET', lock, 'id', 'queued')
  if not holder[1] then return queued().release_share(lock, queue, id) end
  if holder[1] ~= id then return 0 end
  if not holder[2] then return call('DEL', lock) end
  return queued().release(lock, queue, tonumber(holder[2]))
end
