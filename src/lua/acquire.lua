-- Take the lock if it is free and nobody is before us. What else there is to it is in the queue.
-- returns the token: ours | 0 taken | as queue/acquire.lua
local function acquire(lock, queue, id, owner, ttl, wait)
  if call('EXISTS', lock, queue) == 0 then return take(lock, id, owner, ttl) end
  return queued().acquire(lock, queue, id, owner, ttl, wait == '1')
end
