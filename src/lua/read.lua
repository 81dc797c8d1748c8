-- Tell who holds the lock.
-- returns its id and owner, nil for what is not there
local function read(lock)
  return call('HMGET', lock, 'id', 'owner')
end
