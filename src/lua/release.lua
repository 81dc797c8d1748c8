-- Free the lock if, and only if, its id is ours, for the first of those who wait.
-- returns 1 released | 0 not held by us | id and token of a waiter of our process that has it now
local function release(lock, queue, id)
  local holder = call('HMGET', lock, 'id', 'queued')
  if holder[1] ~= id then return 0 end
  if not holder[2] then return call('DEL', lock) end
  return queued().release(lock, queue, tonumber(holder[2]))
end
