-- Set the remaining time of the lock if, and only if, its id is ours; zero or less deletes it.
-- KEYS[1] lock key   ARGV id, ttl in ms   returns 1 extended | 0 not held by us
if redis.call('HGET', KEYS[1], 'id') == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
