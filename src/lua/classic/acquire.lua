-- Take the lock if it is free; if its holder is us already, renew it unless it lasts longer (a repeated
-- call, a lost reply).
-- returns 1 ours | -1 taken, also by a key of another type, and there is no queue | an error
local function acquire(key, id, owner, ttl)
  local taken = redis.pcall('EXISTS', key)
  if taken == 0 then
    local written = redis.pcall('HMSET', key, 'id', id, 'owner', owner)
    if written.err then return written end
    local expires = redis.pcall('PEXPIRE', key, ttl)
    -- A lock without an end would be for ever.
    if expires ~= 1 then redis.pcall('DEL', key) end
    return expires
  end
  if taken ~= 1 then return taken end
  if redis.pcall('HGET', key, 'id') ~= id then return -1 end
  local left = redis.pcall('PTTL', key)
  -- Who may not look at the time sets it.
  if type(left) == 'number' and left >= tonumber(ttl) then return 1 end
  return redis.pcall('PEXPIRE', key, ttl)
end
