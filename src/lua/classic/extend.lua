-- Set the remaining time of the lock if, and only if, its id is ours; zero or less deletes it.
-- returns 1 extended | 0 not held by us | an error
local function extend(key, id, ttl)
  local holder = redis.pcall('HGET', key, 'id')
  if holder == id then return redis.pcall('PEXPIRE', key, ttl) end
  if holder then return holder.err and holder or 0 end
  return refuse_share(key)
end
