-- Who shares a lock is written down where only the queue's steps look.
-- returns 0 nobody does | an error
local function refuse_share(key)
  local capacity = redis.pcall('HGET', key, 'capacity')
  return capacity and { err = 'TRYAGAIN the lock is shared' } or 0
end

-- Delete the lock if, and only if, its id is ours.
-- returns 1 released | 0 not held by us | an error
local function release(key, id)
  local holder = redis.pcall('HGET', key, 'id')
  if holder == id then return redis.pcall('DEL', key) end
  if holder then return holder.err and holder or 0 end
  return refuse_share(key)
end
