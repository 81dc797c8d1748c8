-- Tell who holds the lock.
-- returns the id, the owner, the token, the time left (ms) and how many may share it, nil for what is not
-- there
local function read(lock)
  local id, owner, token, capacity = unpack(call('HMGET', lock, 'id', 'owner', 'fence', 'capacity'))
  if capacity then return queued().read(lock) end
  return { id, owner, token, call('PTTL', lock), false }
end
