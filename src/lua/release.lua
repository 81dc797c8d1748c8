-- Delete the lock if, and only if, its id is ours.
-- KEYS[1] lock key   ARGV id   returns 1 released | 0 not held by us
if redis.call('HGET', KEYS[1], 'id') == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
