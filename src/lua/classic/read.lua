-- Tell who holds the lock.
-- returns its id and owner, nil for what is not there | an error
local function read(key)
  return redis.pcall('HMGET', key, 'id', 'owner')
end
