-- Delete the lock if, and only if, its id is ours.
-- returns 1 released | 0 not held by us | an error
local function release(key, id)
  local holder = redis.pcall('HGET', key, 'id')
  if holder == id then return redis.pcall('DEL', key) end
  return holder and holder.err and holder or 0
end
