-- Take the lock if it is free; if its holder is us already, renew it (a repeated call, a lost reply).
-- KEYS[1] lock key   ARGV id, owner, ttl in ms   returns 1 ours | 0 taken
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HMSET', KEYS[1], 'id', ARGV[1], 'owner', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return 1
end
-- pcall: a key of another type is somebody else's and answers as taken, as in version 2.
if redis.pcall('HGET', KEYS[1], 'id') == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return 1
end
return 0
